"""Measure the accuracy of P1 of P-TAPT on unseen speakers.

    python tools/states_accuracy.py SAVEE hparams/pseudo.yaml \
        --scale nano --data_folder /path/to/SAVEE

Takes the settings with which ``extract_pseudo.py`` was run. For each fold
whose P1 is finished, prints as a Markdown table the UA of P1's utterance head
in percent: ``valid`` on the validation split, whose speakers are those of the
training, ``test`` on the fold's test part. The latter is only for reports:
nothing is trained or chosen with it.
"""

import sys

import numpy as np
import torch

from ser_brain.dataio.utterances import as_list, utterance_dataset
from ser_brain.errors import InputError
from ser_brain.experiment.chain import SHARED, states_stage
from ser_brain.experiment.outline import Outline
from ser_brain.experiment.states_head import load_states_head, states_accuracy
from ser_brain.lobes import load_state_encoder


def test_accuracy(outline, stage):
    """UA of a finished P1 on the fold's test part, in percent."""
    test = utterance_dataset(
        outline.manifest,
        outline.fold.test,
        outline.data_folder,
        outline.classes,
    )
    encoder = load_state_encoder(stage.folder)
    head = load_states_head(stage.folder)
    batches = (as_list([test[place]]) for place in range(len(test)))
    return 100 * states_accuracy(encoder, head, batches)


def main(words):
    corpus, *argv = words
    outline = Outline(argv, corpus)
    outline.prepare()
    torch.set_num_threads(outline.settings.get("threads") or 1)
    scores = {}
    for name in outline.fold_names():
        fold = outline.of(name)
        stage = states_stage(fold, "emotion_states", fold.folder_of(SHARED))
        if stage.done is None:
            continue
        valid = 100 * stage.done["valid_UA"]
        scores[name] = (valid, test_accuracy(fold, stage))
    if not scores:
        raise InputError(
            "no fold has a finished P1 with these settings: run "
            "extract_pseudo.py first."
        )
    print(f"| UA of P1 | {' | '.join(scores)} | mean |")
    print("|---" * (len(scores) + 2) + "|")
    for row, told in enumerate(("valid", "test")):
        values = [pair[row] for pair in scores.values()]
        cells = " | ".join(f"{value:.1f}" for value in values)
        print(f"| {told} | {cells} | {np.mean(values):.1f} |")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main(sys.argv[1:])
    except InputError as error:
        sys.exit(f"error: {error}")
