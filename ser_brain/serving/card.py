"""Model cards, from the record of a model's own run."""

from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ser_brain import __version__
from ser_brain.serving.record import NAMES

TEMPLATE = Path(__file__).with_name("model_card.md")
# Licence terms of the corpora, for the reader of a model card.
DATA_LICENSES = {
    "IEMOCAP": "IEMOCAP is given by the University of Southern California "
    "for research, under a signed agreement; read there whether a model "
    "trained on it may be passed on.",
    "SAVEE": "SAVEE is given by the University of Surrey for research, after "
    "registration; read there whether a model trained on it may be passed on.",
}
UNKNOWN = (
    "Whoever published this model did not state the licence of its training "
    "data: ask before you use it."
)


def model_card(
    record, encoder, source, obstacle=None, license=None, data_license=None
):
    """The text of README.md.

    Arguments
    ---------
    record : ser_brain.serving.record.Record
        Record of the model's folder.
    encoder : ser_brain.lobes.encoder.Encoder
        Encoder of the model.
    source : str
        Its name for loading: ``owner/name``, or the name of a folder.
    obstacle : str, optional
        Why transformers alone cannot load it.
    license : str, optional
        Licence of the weights, as named on the hub.
    data_license : str, optional
        A sentence on the licence of the training data.

    Returns
    -------
    str
        Markdown with the hub's YAML header.
    """
    description = record.description
    corpus = str(description.get("corpus", "unknown"))
    name = source.split("/")[-1]
    data = ModelCardData(
        license=license,
        library_name="ser_brain",
        pipeline_tag="audio-classification",
        tags=["speech-emotion-recognition", "speechbrain", encoder.name],
        model_name=name,
        eval_results=_results(record, corpus) or None,
    )
    card = ModelCard.from_template(
        data,
        template_path=TEMPLATE,
        name=name,
        source=source,
        version=__version__,
        classes=description["classes"],
        facts=_facts(description, encoder, corpus),
        record=record,
        obstacle=obstacle,
        data_license=data_license or DATA_LICENSES.get(corpus, UNKNOWN),
    )
    return str(card)


def _facts(description, encoder, corpus):
    """The main facts about a model."""
    millions = sum(weights.numel() for weights in encoder.parameters()) / 1e6
    fold = description.get("fold")
    return {
        "corpus": corpus,
        "procedure": description.get("procedure", "unknown"),
        "encoder": f"{encoder.name}, {millions:.1f} million parameters",
        "scale": description.get("scale", "unknown"),
        "trained on": "all clips" if fold == "all" else f"all but fold {fold}",
        "seed": description.get("seed", "unknown"),
    }


def _results(record, corpus):
    """The scores in the format of the hub's header."""
    return [
        EvalResult(
            task_type="audio-classification",
            dataset_type=corpus,
            dataset_name=corpus,
            metric_type=name.lower(),
            metric_name=title,
            metric_value=round(record.scores[name], 4),
        )
        for name, title in NAMES.items()
        if name in record.scores
    ]
