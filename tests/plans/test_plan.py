"""What a plan reads from run folders; no process is started here."""

import json
import random
from collections.abc import Iterator

import pytest
from recipe_runs import pick_clips, write_table

from ser_brain.engines.runs import Outcome
from ser_brain.errors import InputError
from ser_brain.evaluation.metrics import scores
from ser_brain.experiment.results import digest
from ser_brain.plans.plan import Plan
from ser_brain.results.outputs import write_metrics, write_predictions

CLASSES = ["angry", "happy", "neutral", "sad"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of 24 clips of the mini corpus: speakers 01, 02 and 03."""
    path = tmp_path_factory.mktemp("table") / "few.csv"
    write_table(path, pick_clips())
    return path


@pytest.fixture
def make(table, tmp_path):
    """``make(method, *words, **options)``: a plan at nano scale."""

    def make(method="vft", *words, **options):
        words = ["--manifest", str(table), "--scale", "nano", *words]
        words += ["--results", str(tmp_path / "results")]
        yaml = f"hparams/{method}.yaml"
        return Plan("SAVEE", yaml, overrides=words, **options)

    return make


def finish(planned, right=6):
    """Leaves the files of a finished run, some of 8 clips right."""
    run = planned.run
    labels = CLASSES * 2
    wrong = CLASSES[1:] + CLASSES[:1]
    told = labels[:right] + (wrong * 2)[right:]
    shares = dict.fromkeys(CLASSES, 0.25)
    rows = [
        {
            "id": f"{run.fold}_{number}",
            "speaker": run.fold,
            "fold": run.fold,
            "label": label,
            "prediction": prediction,
            "posteriors": shares,
        }
        for number, (label, prediction) in enumerate(zip(labels, told))
    ]
    predictions = run.folder / "predictions.csv"
    write_predictions(predictions, rows)
    metrics = {
        "corpus": "few",
        "procedure": run.procedure,
        "scale": "nano",
        "fold": run.fold,
        "seed": run.seed,
        "audio_seconds_per_second": {},
        "wall_seconds": {"classifier": 100.0 + run.seed},
        "key": planned.stages[-1].key,
        "predictions_sha256": digest(predictions),
        **scores(labels, told, CLASSES),
    }
    write_metrics(run.folder / "metrics.json", metrics)


class Finisher:
    """An engine whose runs leave results at once; some fail."""

    def __init__(self, plan, right=None, failing=()):
        self.plan, self.right, self.failing = plan, right or {}, failing
        self.begun = []

    def execute(self, runs) -> Iterator[Outcome]:
        for run in runs:
            name = run.fold, run.seed
            self.begun.append(name)
            if name in self.failing:
                yield Outcome(run, 1, "no luck", 0.0)
                continue
            planned = self.plan.planned(*name)
            finish(planned, self.right.get(name, 6))
            yield Outcome(run, 0, "", 0.0)


def states(plan):
    """State by fold and seed, as --dry_run lists them."""
    lines = plan.dry_run().splitlines()
    rows = [line.split(maxsplit=4) for line in lines if "  seed " in line]
    return {(row[1], int(row[3])): row[4] for row in rows}


def test_finished_runs_are_known_without_a_process(make):
    plan = make(runs=2)
    finish(plan.planned("01", 1))
    finish(plan.planned("03", 2))
    again = make(runs=2)
    assert [(run.fold, run.seed) for run in again.missing()] == [
        ("02", 1),
        ("03", 1),
        ("01", 2),
        ("02", 2),
    ]
    assert states(again)["01", 1] == "finished"
    assert states(again)["01", 2] == "missing"


@pytest.mark.parametrize(
    "words, finished",
    [
        (["--num_workers", "3", "--threads", "2"], True),
        (["--micro_batch_seconds", "7"], True),
        (["--quick_dropout", "False"], True),
        (["--lr", "0.25"], False),
        (["--precision", "bf16"], False),
    ],
)
def test_only_what_changes_results_makes_a_run_stale(make, words, finished):
    finish(make(runs=1).planned("01", 1))
    state = states(make("vft", *words, runs=1))["01", 1]
    assert state == ("finished" if finished else "other settings")


def test_an_edited_run_is_run_again(make):
    plan = make(runs=1, folds="01")
    planned = plan.planned("01", 1)
    finish(planned)
    file = planned.run.folder / "predictions.csv"
    file.write_text(file.read_text().replace("sad,angry", "sad,sad"))
    assert states(plan)["01", 1] == "edited"
    assert plan.missing() == [planned.run]
    file.unlink()
    assert states(plan)["01", 1] == "edited"


def test_a_begun_run_is_unfinished(make):
    plan = make(runs=1)
    stage = plan.planned("02", 1).stages[-1]
    stage.folder.mkdir(parents=True)
    marker = stage.folder / "unfinished.json"
    marker.write_text(json.dumps({"key": stage.key}))
    assert states(plan)["02", 1] == "unfinished"
    marker.write_text(json.dumps({"key": "of other settings"}))
    assert states(plan)["02", 1] == "missing"


def test_the_time_left_is_measured(make):
    plan = make(runs=2, folds=["01", "02"])
    assert plan.dry_run().endswith("no estimate: none has finished yet")
    finish(plan.planned("01", 1))
    finish(plan.planned("01", 2))
    # Two runs of (101 + 102) / 2 seconds, one beside the other.
    line = plan.dry_run(workers=2).splitlines()[-1]
    assert line.startswith(f"about {101.5 / 3600:.1f} h left with 2 runs")


def test_a_dry_run_leaves_no_run_folder(make, tmp_path):
    make("ptapt", runs=2).dry_run()
    assert {path.name for path in (tmp_path / "results" / "few").iterdir()} == {
        "manifest.json",
        "manifest.json.fingerprint",
    }


def test_runs_that_fail_are_recorded_and_stop_nobody(make):
    plan = make(runs=2)
    engine = Finisher(plan, failing={("01", 2), ("03", 1)})
    failures = plan.run(engine)
    assert [outcome.error for outcome in failures] == ["no luck"] * 2
    assert len(engine.begun) == 6
    record = json.loads((plan.folder / "plan.json").read_text())
    failed = {(one["fold"], one["seed"]) for one in record["failed"]}
    assert failed == {("01", 2), ("03", 1)}
    assert failed == {(o["fold"], o["seed"]) for o in record["missing"]}
    again = make(runs=2)
    assert states(again)["03", 1] == "failed"
    assert again.run(Finisher(again)) == []
    assert json.loads((plan.folder / "plan.json").read_text())["failed"] == []


class Idle:
    """An engine whose runs end well and leave nothing."""

    def execute(self, runs) -> Iterator[Outcome]:
        yield from (Outcome(run, 0, "", 0.0) for run in runs)


def test_a_run_without_results_has_failed(make):
    plan = make(runs=1, folds="01")
    [outcome] = plan.run(Idle())
    assert "without results of these settings" in outcome.error
    assert outcome.returncode == 1


def test_outliers_are_run_again_and_kept(make):
    plan = make(runs=6, folds="02")
    engine = Finisher(plan, right={("02", 3): 1})
    assert plan.run(engine) == []
    assert engine.begun == [("02", seed) for seed in range(1, 8)]
    record = plan.record()
    assert record["seeds"] == {"02": [1, 2, 4, 5, 6, 7]}
    [one] = record["discarded"]
    assert (one["fold"], one["seed"], one["score"]) == ("02", 3, 0.125)
    assert (plan.planned("02", 3).run.folder / "predictions.csv").is_file()
    # A plan made anew comes to the same selection and has nothing to do.
    again = make(runs=6, folds="02")
    assert again.missing() == [] and again.record() == record
    kept = make(runs=6, folds="02", outliers="keep")
    assert kept.missing() == []
    assert kept.record()["seeds"] == {"02": [1, 2, 3, 4, 5, 6]}
    assert kept.record()["discarded"] == []


def test_a_fold_with_a_failed_run_is_not_judged(make):
    plan = make(runs=7, folds="02")
    right = {("02", 3): 1}
    plan.run(Finisher(plan, right, failing={("02", 7)}))
    assert plan.record()["discarded"] == []
    again = make(runs=7, folds="02")
    again.run(Finisher(again, right))
    assert [one["seed"] for one in again.record()["discarded"]] == [3]


def test_the_record_keeps_folds_of_the_same_plan(make):
    plan = make(runs=1, folds="03")
    plan.run(Finisher(plan))
    plan = make(runs=1, folds="01")
    plan.run(Finisher(plan))
    record = json.loads((plan.folder / "plan.json").read_text())
    assert record["folds"] == ["01", "03"]
    assert record["seeds"] == {"01": [1], "03": [1]}
    plan = make(runs=2, folds="01")
    plan.run(Finisher(plan))
    record = json.loads((plan.folder / "plan.json").read_text())
    assert record["folds"] == ["01"]


def test_runs_of_a_fold_share_an_adaptation_or_do_not(make):
    def adapted(repeat, seed):
        stages = make("ptapt", repeat=repeat).planned("01", seed).stages
        return [(stage.folder, stage.key) for stage in stages[:-1]]

    assert adapted("finetune", 1) == adapted("finetune", 2)
    assert adapted("finetune", 1) == adapted("all", 1)
    own, others = adapted("all", 2), adapted("all", 1)
    assert not set(own) & set(others)
    plan = make("ptapt", repeat="finetune")
    classifiers = {plan.planned("01", s).stages[-1].key for s in (1, 2, 3)}
    assert len(classifiers) == 3
    words = plan.planned("01", 2).run.command()
    assert words[words.index("--adaptation_seed") + 1] == "1"
    assert plan.record()["repeat"] == "finetune"


def test_fine_tuning_alone_has_nothing_to_share(make):
    command = make("vft", repeat="finetune").planned("01", 2).run.command()
    assert "--adaptation_seed" not in command


def test_a_shared_adaptation_is_awaited_once(make):
    plan = make("ptapt", repeat="finetune", runs=3, folds="01")
    finish(plan.planned("01", 1))
    names = [stage.name for stage in plan.planned("01", 1).stages]
    metrics = json.loads(
        (plan.planned("01", 1).run.folder / "metrics.json").read_text()
    )
    metrics["wall_seconds"] = dict.fromkeys(names, 3600.0)
    file = plan.planned("01", 1).run.folder / "metrics.json"
    file.write_text(json.dumps(metrics))
    # P1, P2 and P3 once, and two classifiers: no stage is done.
    assert "about 5.0 h left" in plan.dry_run()


def test_two_plans_do_not_fill_one_folder(make):
    plan = make(runs=1)
    refusal = []

    class Nosy(Finisher):
        def execute(self, runs):
            with pytest.raises(InputError) as refused:
                make(runs=1).run(Finisher(plan))
            refusal.append(str(refused.value))
            yield from super().execute(runs)

    assert plan.run(Nosy(plan)) == []
    [sentence] = refusal
    assert f"{plan.folder} is being filled by another plan" in sentence


def test_any_order_of_ends_comes_to_the_same(make):
    draws = random.Random(0)
    plan = make(runs=6, folds="01")
    right = {("01", 2): 0}

    class Shuffler(Finisher):
        def execute(self, runs):
            yield from super().execute(draws.sample(runs, len(runs)))

    plan.run(Shuffler(plan, right))
    assert plan.record()["seeds"] == {"01": [1, 3, 4, 5, 6, 7]}


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"folds": "01,1"}, "--folds names '1', which is not a fold: give all"),
        ({"folds": ""}, "--folds names '', which is not a fold"),
        ({"runs": 0}, "--runs is 0: give at least 1"),
        ({"repeat": "never"}, "--repeat is 'never': give all or finetune"),
        ({"outliers": "drop"}, "--outliers is 'drop': give rerun or keep"),
    ],
)
def test_a_bad_plan_is_one_sentence(make, options, sentence):
    with pytest.raises(InputError, match=sentence):
        make(**options)


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--fold", "01"], "--fold is the plan's to give: choose by --folds"),
        (["--seed=3"], "--seed is the plan's to give: choose by --runs"),
        (["--adaptation_seed", "3"], "choose by --repeat finetune"),
        (["--epohcs", "3"], "did you mean --epochs"),
    ],
)
def test_a_bad_override_is_one_sentence(make, words, sentence):
    with pytest.raises(InputError, match=sentence):
        make("vft", *words)


@pytest.mark.parametrize(
    "recipe, yaml, sentence",
    [
        ("SAVE", "hparams/vft.yaml", "no recipe 'SAVE': the recipes are IEMO"),
        ("SAVEE", "hparams/vfd.yaml", "has no script train_vfd.py"),
        ("SAVEE", "hparams/pseudo.yaml", "no script extract_pseudo.py that"),
        ("recipes/SAVEE/train_vft.py", "no/vft.yaml", "no/vft.yaml does not"),
        ("recipes/SAVEE/train_vfd.py", "hparams/vft.yaml", "train_vfd.py that"),
    ],
)
def test_no_such_recipe(recipe, yaml, sentence):
    with pytest.raises(InputError, match=sentence):
        Plan(recipe, yaml)


def test_a_plan_of_ratings_is_refused():
    with pytest.raises(InputError, match="predicts ratings, which no plan"):
        Plan("IEMOCAP", "hparams/vad.yaml")
