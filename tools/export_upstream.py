"""Writes the recipes into a checkout of SpeechBrain.

    python tools/export_upstream.py /path/to/speechbrain

Lobes, span masks, poolings, heads, losses and schedules are the files of
ser_brain with the imports of their new place. The scripts are those of
tools/upstream, which train the same objectives with SpeechBrain's own loop.
Their yaml files take every number from hparams. Existing files of the same
names are replaced; nothing is committed.
"""

import ast
import csv
import re
import subprocess
import sys
from pathlib import Path

import yaml

from ser_brain.assets import ROOT
from ser_brain.corpora import get_corpus
from ser_brain.errors import InputError, exit_code
from ser_brain.experiment.settings import Settings, loaded

TEMPLATES = ROOT / "tools" / "upstream"
# The folder of each corpus' recipe.
RECIPES = {
    "IEMOCAP": "recipes/IEMOCAP/emotion_recognition_ptapt",
    "SAVEE": "recipes/SAVEE/emotion_recognition",
}
PROCEDURES = {"train_vft": "vft", "train_tapt": "tapt", "train_ptapt": "ptapt"}
TITLES = {"vft": "V-FT", "tapt": "TAPT", "ptapt": "P-TAPT"}

# What needs torch alone, transformers, or safetensors.
PLAIN = "speechbrain.lobes.models.ptapt"
HUGGINGFACE = "speechbrain.integrations.huggingface.ptapt"
WAV2VEC = "speechbrain.integrations.models.wav2vec"
PLACES = {
    "ser_brain.nnet": PLAIN,
    "ser_brain.lobes": HUGGINGFACE,
    "ser_brain.lobes.wav2vec": WAV2VEC,
    "ser_brain.lobes.state_encoder": f"{WAV2VEC}.state_encoder",
    "ser_brain.lobes.fairseq_checkpoint": f"{WAV2VEC}.fairseq_checkpoint",
}
MODULES = {
    "ser_brain.nnet": "lengths masking norm dropout pooling heads losses "
    "schedules",
    "ser_brain.lobes": "attention encoder frame_encoder pretrained "
    "state_encoder fairseq_checkpoint",
    "ser_brain.lobes.wav2vec2": "__init__ codebook family encoder pretraining",
    "ser_brain.lobes.wav2vec": "__init__ layers options storage encoder "
    "emotion_states pretraining",
}
EXPORTED = {
    f"{package}.{name}".removesuffix(".__init__")
    for package, names in MODULES.items()
    for name in names.split()
}
PACKAGES = {
    PLAIN: "Span masks, poolings, heads and losses of P-TAPT.",
    HUGGINGFACE: "Encoders whose output does not depend on padding.",
}
NAME = re.compile(r"\bser_brain(?:\.\w+)+")
AUTHORS = "Authors\n * The ser_brain developers, 2026\n"

# Options that make random models of a few kilobytes. Lists, because settings
# that are mappings can only be merged into mappings.
TINY_WAV2VEC2 = """[!new:transformers.Wav2Vec2Config {conv_dim: \
[8, 8, 8, 8, 8, 8, 8], hidden_size: 16, num_hidden_layers: 2, \
num_attention_heads: 2, intermediate_size: 16, num_conv_pos_embeddings: 8, \
num_conv_pos_embedding_groups: 2, num_codevectors_per_group: 8, \
codevector_dim: 8, proj_codevector_dim: 8}]"""
TINY_WAV2VEC = """!new:builtins.dict [[[conv_feature_layers, \
[[8, 10, 5], [8, 8, 4], [8, 4, 2], [8, 4, 2], [8, 4, 2]]], \
[conv_aggregator_layers, [[16, 2, 1], [16, 3, 1]]], \
[skip_connections_agg, True], [log_compression, True]]]"""


def moved(name):
    """A dotted name of ours in its new place.

    Raises
    ------
    InputError
        If its module is not exported.

    Example
    -------
    >>> moved("ser_brain.nnet.masking.SpanMask")
    'speechbrain.lobes.models.ptapt.masking.SpanMask'
    """
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        module = ".".join(parts[:count])
        is_file = ROOT.joinpath(*parts[:count]).with_suffix(".py").is_file()
        if is_file and module not in EXPORTED:
            raise InputError(
                f"an exported file names {module}, which is not exported: add "
                "it to MODULES of tools/export_upstream.py."
            )
    count = len(parts)
    while ".".join(parts[:count]) not in PLACES:
        count -= 1
    return ".".join([PLACES[".".join(parts[:count])], *parts[count:]])


def signed(text):
    """Source whose module docstring ends with its authors."""
    docstring = ast.parse(text).body[0]
    lines = text.splitlines(keepends=True)
    start, end = docstring.lineno - 1, docstring.end_lineno
    inside = "".join(lines[start:end]).rstrip().removesuffix('"""').rstrip()
    return f'{inside}\n\n{AUTHORS}"""\n' + "".join(lines[end:])


def rewritten(text):
    """Source with the imports, names and examples of its new place."""
    text = text.replace(">>> from ser_brain.assets import folder\n", "\n")
    text = re.sub(r"\n *\n(?= *>>>)", "\n", text)
    text = text.replace('folder("nano_wav2vec2")', '"facebook/wav2vec2-base"')
    text = text.replace('NAME = "ser_brain"', 'NAME = "speechbrain_ptapt"')
    return signed(NAME.sub(lambda match: moved(match[0]), text))


def packages():
    """Files of the package, as (path, text)."""
    for package, line in PACKAGES.items():
        text = f'"""{line}\n\n{AUTHORS}"""\n'
        yield f"{package.replace('.', '/')}/__init__.py", text
    for package, names in MODULES.items():
        for name in names.split():
            module = f"{package}.{name}".removesuffix(".__init__")
            source = ROOT / package.replace(".", "/") / f"{name}.py"
            path = moved(module).replace(".", "/")
            if name == "__init__":
                path += "/__init__"
            yield f"{path}.py", rewritten(source.read_text("utf-8"))
    test = (TEMPLATES / "integration_test.py").read_text("utf-8")
    yield "speechbrain/integrations/tests/test_ptapt.py", test


def reader(corpus):
    """The reader of a corpus in one file that needs the standard library."""
    folder = ROOT / "ser_brain" / "corpora"
    shared = (folder / "corpus.py").read_text("utf-8")
    wanted = {"AUDIO_SUFFIXES", "Clip", "Reading", "Corpus"}
    parts = [
        ast.get_source_segment(shared, node)
        if not isinstance(node, ast.ClassDef)
        else "@dataclass(frozen=True)\n" + ast.get_source_segment(shared, node)
        for node in ast.parse(shared).body
        if getattr(node, "name", None) in wanted
        or (isinstance(node, ast.Assign) and node.targets[0].id in wanted)
    ]
    imports = (
        "from collections.abc import Callable\n"
        "from dataclasses import dataclass\nfrom pathlib import Path\n"
    )
    own = (folder / f"{corpus.lower()}.py").read_text("utf-8")
    own = re.sub(r"^from ser_brain.(errors|files).*\n", "", own, flags=re.M)
    own = own.replace("InputError", "ValueError")
    own = own.replace("_sentences.yaml", "_sentences.txt")
    own = re.sub(r"\bis_file\((.+)\):", r"(\1).is_file():", own)
    head, rest = re.split(
        r"^from ser_brain.corpora.corpus.*\n", own, flags=re.M
    )
    return signed(f"{head}{imports}\n" + "\n\n".join(parts) + f"\n{rest}")


def values(corpus, procedure):
    """What stands for the names between @ in the templates.

    Arguments
    ---------
    corpus, procedure : str
        "SAVEE", "vft".

    Returns
    -------
    tuple of dict
        The settings of the procedure on the corpus, sections in sections,
        and what the corpus itself adds.
    """
    settings = Settings(ROOT / "hparams" / f"{procedure}.yaml", {})
    settings.apply("corpora", corpus.lower())
    classes = sorted(settings.get("classes"))
    settings.apply_overrides(run_folder="", n_classes=len(classes))
    known = get_corpus(corpus)
    folds = list(known.published)
    more = {
        "CORPUS": corpus,
        "unit": known.by,
        "script": f"train_{procedure}",
        "labels": f"[{', '.join(classes)}]",
        "n_classes": len(classes),
        "fold": folds[0],
        "folds": ", ".join(folds),
    }
    return loaded(settings.resolved()), {**more, **results(corpus)}


def results(corpus):
    """The published figures, as rows of a Markdown table."""
    path = ROOT / "ser_brain" / "reporting" / "published.yaml"
    figures = yaml.safe_load(path.read_text("utf-8"))["accuracy"][corpus]
    folds = figures["folds"][:-1]
    rows = [
        f"| {title} | {' | '.join(map(str, figures[name]))} |"
        for name, title in TITLES.items()
    ]
    return {
        "folds_row": " | ".join(folds),
        "dashes": "---|" * len(folds),
        "rows": "\n".join(rows),
    }


def filled(text, tree, more):
    """A template with its includes and values."""
    folder = TEMPLATES / "recipe" / "hparams"
    text = re.sub(
        r"@include (\S+)@\n",
        lambda match: (folder / match[1]).read_text("utf-8"),
        text,
    )

    def value(match):
        if match[1] in more:
            return str(more[match[1]])
        found = tree
        for part in match[1].split("."):
            found = found[part]
        return str(found)

    return re.sub(r"@([\w.]+)@", value, text)


def recipe(corpus):
    """Files of a corpus' recipe, as (path, text)."""
    folder, name = RECIPES[corpus], corpus.lower()
    for source in sorted((TEMPLATES / "recipe").glob("*.py")):
        text = source.read_text("utf-8").replace("CORPUS_READER", corpus)
        text = text.replace("corpus_reader", f"{name}_reader")
        text = text.replace("CORPUS", corpus)
        text = text.replace("corpus_prepare", f"{name}_prepare")
        text = text.replace("prepare_corpus", f"prepare_{name}")
        yield f"{folder}/{source.name.replace('corpus', name)}", text
    yield f"{folder}/{name}_reader.py", reader(corpus)
    sentences = ROOT / "ser_brain" / "corpora" / f"{name}_sentences.yaml"
    if sentences.is_file():
        # A yaml in a recipe would have to be the settings of a script.
        target = sentences.with_suffix(".txt").name
        yield f"{folder}/{target}", sentences.read_text("utf-8")
    for script, procedure in PROCEDURES.items():
        source = TEMPLATES / "recipe" / "hparams" / f"{script}.yaml"
        text = filled(source.read_text("utf-8"), *values(corpus, procedure))
        yield f"{folder}/hparams/{script}.yaml", text
    readme = (TEMPLATES / "recipe" / "README.md").read_text("utf-8")
    yield f"{folder}/README.md", filled(readme, *values(corpus, "vft"))
    needed = (TEMPLATES / "recipe" / "extra_requirements.txt").read_text()
    yield f"{folder}/extra_requirements.txt", needed


def debug_flags(script):
    """Options with which a script runs on SpeechBrain's samples."""
    samples = "tests/samples"
    kind = "ForPreTraining" if script == "train_tapt" else "Model"
    model = f"!new:transformers.Wav2Vec2{kind} {TINY_WAV2VEC2}"
    flags = [
        f"--data_folder={samples}/ASR/",
        f"--train_annotation={samples}/annotation/ASR_train.json",
        f"--test_annotation={samples}/annotation/ASR_dev.json",
        "--skip_prep=True",
        "--labels='[anger, happiness, neutrality, sadness]'",
        "--out_n_neurons=4 --number_of_epochs=2 --batch_size=2",
        f"--num_workers=0 --wav2vec2_hub='{model}' --encoder_dim=16",
    ]
    if script == "train_tapt":
        flags += ["--adaptation_batch_size=2 --adaptation_buckets=2"]
    if script == "train_ptapt":
        flags += [f"--wav2vec_checkpoint='{TINY_WAV2VEC}' --states_dim=16"]
        flags += ["--states_batch_size=2 --n_clusters='[4, 8]'"]
        flags += ["--adaptation_batch_seconds=8 --adaptation_buckets=2"]
    return " ".join(flags)


def add_rows(path, corpus):
    """Lists the recipes in SpeechBrain's table of recipes."""
    columns = (path.parent / "IEMOCAP.csv").read_text("utf-8").splitlines()[0]
    rows, folder = [], RECIPES[corpus]
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    rows = [row for row in rows if not row["Script_file"].startswith(folder)]
    files = "train_log.txt,log.txt,env.log,hyperparams.yaml,test_stats.txt"
    for script in PROCEDURES:
        row = dict.fromkeys(columns.split(","), "")
        row.update(
            Task="Emotion_recognition",
            Dataset=corpus,
            Script_file=f"{folder}/{script}.py",
            Hparam_file=f"{folder}/hparams/{script}.yaml",
            Data_prep_file=f"{folder}/{corpus.lower()}_prepare.py",
            Readme_file=f"{folder}/README.md",
            test_debug_flags=debug_flags(script),
            test_debug_checks=f"file_exists=[{script}.py,{files}]",
        )
        rows.append(row)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns.split(","), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def export(target):
    """Writes everything below a checkout.

    Arguments
    ---------
    target : str or Path
        The checkout's folder.

    Returns
    -------
    list of str
        Paths that were written, relative to it.

    Raises
    ------
    InputError
        If it is not a checkout of SpeechBrain.
    """
    target = Path(target)
    tables = target / "tests" / "recipes"
    if not (tables / "IEMOCAP.csv").is_file():
        raise InputError(
            f"{target} is not a checkout of SpeechBrain (it has no "
            "tests/recipes/IEMOCAP.csv): clone "
            "https://github.com/speechbrain/speechbrain and give its folder."
        )
    files = dict(packages())
    for corpus in RECIPES:
        files.update(recipe(corpus))
    for path, text in files.items():
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    tidy([path for path in files if path.endswith(".py")], target)
    for corpus in RECIPES:
        add_rows(tables / f"{corpus}.csv", corpus)
    return [*files, *(f"tests/recipes/{corpus}.csv" for corpus in RECIPES)]


def tidy(paths, target):
    """Sorts imports and wraps lines by the checkout's own settings."""
    ruff = [sys.executable, "-m", "ruff"]
    for words in (
        ["check", "--fix", "--exit-zero", "--silent"],
        ["format", "--silent"],
    ):
        subprocess.run([*ruff, *words, *paths], cwd=target, check=True)


def main():
    """Reads the command line."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2

    def work():
        paths = export(sys.argv[1])
        print(f"{len(paths)} files written to {sys.argv[1]}")
        return 0

    return exit_code(work)


if __name__ == "__main__":
    sys.exit(main())
