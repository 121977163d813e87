"""From a folder of audio to a manifest and folds, without tensors."""

from ser_brain.corpora.corpus import Clip, Corpus, Reading, count_differences
from ser_brain.corpora.folds import (
    Fold,
    check_training_classes,
    fold_rule,
    folds,
    get_fold,
    split_validation,
)
from ser_brain.corpora.groups import speaker_groups
from ser_brain.corpora.manifest import (
    class_names,
    load_manifest,
    manifest_key,
    select_classes,
    texts_of,
    without_texts,
)
from ser_brain.corpora.prepare import prepare, prepare_table
from ser_brain.corpora.registry import (
    CORPORA,
    find_data_folder,
    get_corpus,
    read_corpus,
)
from ser_brain.corpora.shares import hours, training_share
from ser_brain.corpora.table import read_numbers, read_table
from ser_brain.corpora.validation import (
    as_speakers,
    class_doubts,
    validated_classes,
    with_folds,
)
