"""``ser-brain table 3``: the pretraining loss of folders of audio."""

import re
from pathlib import Path

import speechbrain as sb

from ser_brain.assets import ROOT
from ser_brain.dataio.audio import RESAMPLER
from ser_brain.errors import InputError
from ser_brain.experiment.arguments import parse_arguments
from ser_brain.experiment.command import quiet_libraries
from ser_brain.experiment.pretraining_loss import (
    ClipRecord,
    find_clips,
    folder_losses,
    summarize_losses,
)
from ser_brain.experiment.settings import Settings
from ser_brain.reporting.formats import counted
from ser_brain.reporting.paper_tables import loss_table
from ser_brain.reporting.texts import TEXTS

METHOD = ROOT / "hparams" / "tapt.yaml"


def named_folders(words):
    """Parse ``NAME=FOLDER`` words into a dict.

    Raises
    ------
    InputError
        If there is none, one is malformed, a name is given twice, or a folder
        does not exist or holds no audio.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> list(named_folders([f"mini={folder('mini_corpus')}"]))
    ['mini']
    """
    if not words:
        raise InputError(
            "table 3 needs folders of audio: give NAME=FOLDER before any "
            "option, as SAVEE=/path/to/AudioData."
        )
    folders = {}
    for word in words:
        name, equals, folder = word.partition("=")
        if not (name and equals and folder):
            raise InputError(
                f"{word!r} is not NAME=FOLDER: write SAVEE=/path/to/AudioData."
            )
        if name in folders:
            raise InputError(
                f"The name {name!r} is given twice: a row has one folder."
            )
        find_clips(folder)
        folders[name] = Path(folder).expanduser()
    return folders


def measured_losses(words, overrides):
    """Measure the losses of Table 3.

    Arguments
    ---------
    words : list of str
        ``NAME=FOLDER``, one per row.
    overrides : list of str
        Settings of hparams/tapt.yaml and run options, as a recipe takes
        them: ``--scale nano``, ``--encoder DIR``, ``--device cuda``,
        ``--variant released_code``, ``--tapt_mask_prob 0.05``.

    Returns
    -------
    Table, Path
        The table, and the folder that its files belong to.
    """
    folders = named_folders(words)
    _, run_opts, chosen = parse_arguments([str(METHOD), *overrides])
    settings, scale = loss_settings(chosen)
    quiet_libraries()
    section = settings.section("adaptation")
    device = run_opts.device or sb.utils.distributed.infer_device()
    objective = section["modules"]["objective"].to(device).eval()
    target = Path(settings.get("results"), f"table_3-{scale}")
    key = settings.key("adaptation", RESAMPLER)
    summaries = {}
    for name, folder in folders.items():
        slug = re.sub(r"\W+", "_", name)
        record = ClipRecord(
            target / f"clips_{slug}.jsonl", f"{folder.resolve()} {key}"
        )
        losses = folder_losses(
            objective, folder, record, section["seed"], section["max_seconds"]
        )
        summaries[name] = summarize_losses(losses)
    ours = f"ours ({scale})"
    if scale.split("-")[0] == "full":
        ours = f"ours ({scale}, {settings.value('encoder')})"
    notes = loss_notes(objective, section, summaries)
    return loss_table(ours, summaries, notes), target


def loss_settings(chosen):
    """Settings in layers, as a recipe applies them, without a corpus."""
    settings = Settings(METHOD, chosen)
    scale = str(settings.get("scale"))
    if scale != "full":
        settings.apply("scale", scale)
    variant = settings.get("variant")
    if variant != "paper":
        settings.apply("variants", variant)
        scale = f"{scale}-{variant}"
    # Settings that a run would decide; the loss depends on none of them.
    settings.apply_overrides(run_folder="", n_classes=1)
    return settings, scale


def loss_notes(objective, section, summaries):
    """Notes on what is summed and what was left out."""
    said = TEXTS["paper"]
    prob, span, least = objective.mask_settings
    seed, seconds = section["seed"], section["max_seconds"]
    yield said["loss"].format(
        distractors=objective.num_negatives, weight=objective.diversity_weight
    )
    yield said["masks"].format(
        prob=prob, span=span, least=least, seed=seed, seconds=seconds
    )
    for name, one in summaries.items():
        if one["too_short"]:
            clips = counted(one["too_short"], "clip")
            yield said["too_short"].format(name=name, clips=clips)
