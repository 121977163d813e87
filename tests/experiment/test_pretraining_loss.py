"""Table 3's figure, against transformers' own loss."""

import shutil

import pytest
import soundfile
import torch
from transformers import Wav2Vec2ForPreTraining

from ser_brain.errors import InputError
from ser_brain.experiment.pretraining_loss import (
    ClipRecord,
    clip_generator,
    clip_loss,
    find_clips,
    folder_losses,
    summarize_losses,
)
from ser_brain.lobes.wav2vec2 import Wav2Vec2Pretraining
from ser_brain.lobes.wav2vec2.pretraining import draw_negatives


@pytest.fixture(scope="module")
def objective(tiny_wav2vec2):
    return Wav2Vec2Pretraining(tiny_wav2vec2).eval()


@pytest.fixture
def audio(tmp_path):
    """A folder with three clips of noise at two depths, and litter."""
    generator = torch.Generator().manual_seed(0)
    folder = tmp_path / "audio"
    for name, seconds in {
        "a.wav": 1.0,
        "deep/b.flac": 0.5,
        "c.wav": 0.1,
    }.items():
        noise = 0.1 * torch.randn(int(16000 * seconds), generator=generator)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, noise.numpy(), 16000)
    (folder / "._a.wav").write_bytes(b"litter")
    (folder / "a.txt").write_text("no audio")
    return folder


def test_a_clips_loss_is_that_of_transformers(objective, tiny_wav2vec2):
    wav = 0.1 * torch.randn(24000, generator=torch.Generator().manual_seed(1))
    ours = clip_loss(objective, wav, clip_generator(3, "clip"))
    # The same draws, in the same order, by hand.
    generator = clip_generator(3, "clip")
    torch.randint(1, (), generator=generator)
    frames = objective.frame_lengths(24000)
    mask = objective.draw_mask([frames], generator)
    drawn = draw_negatives(mask, 100, generator)
    masked = mask[0].nonzero()[:, 0]
    negatives = torch.zeros(1, frames, 100, dtype=torch.long)
    negatives[0, masked] = masked[drawn[0]]
    model = Wav2Vec2ForPreTraining.from_pretrained(tiny_wav2vec2).eval()
    with torch.no_grad():
        theirs = model(
            wav[None],
            mask_time_indices=mask,
            sampled_negative_indices=negatives,
        )
    assert ours["masked"] == len(masked)
    assert ours["loss"] == pytest.approx(theirs.loss.item(), rel=1e-5)
    contrastive = theirs.contrastive_loss.item()
    assert ours["contrastive"] == pytest.approx(contrastive, rel=1e-5)
    assert ours["loss"] == pytest.approx(
        ours["contrastive"] + 0.1 * ours["diversity"], rel=1e-5
    )


def test_long_clips_are_cropped_and_short_ones_left_out(objective):
    wav = 0.1 * torch.randn(40000, generator=torch.Generator().manual_seed(1))
    cut = clip_loss(objective, wav, clip_generator(0, "x"), max_seconds=1.0)
    assert cut["seconds"] == 1.0 and 0 < cut["masked"] < 50
    again = clip_loss(objective, wav, clip_generator(0, "x"), max_seconds=1.0)
    other = clip_loss(objective, wav, clip_generator(1, "x"), max_seconds=1.0)
    assert cut == again != other
    # Ten frames are 3280 samples: no longer than a span.
    assert clip_loss(objective, wav[:3599], clip_generator(0, "x")) is None
    assert clip_loss(objective, wav[:3600], clip_generator(0, "x")) is not None


def test_a_killed_count_goes_on(objective, audio, tmp_path):
    path = tmp_path / "clips.jsonl"
    whole = folder_losses(objective, audio, ClipRecord(path, "key"))
    assert whole[1] is None  # c.wav
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2]) + lines[2][:9])
    record = ClipRecord(path, "key")
    assert len(record.losses) == 1
    assert folder_losses(objective, audio, record) == whole
    assert path.read_text() == "".join(lines)


def test_another_key_begins_anew(objective, audio, tmp_path):
    path = tmp_path / "clips.jsonl"
    folder_losses(objective, audio, ClipRecord(path, "old"))
    assert ClipRecord(path, "new").losses == {}
    assert ClipRecord(path, "old").losses == {}


def test_a_changed_clip_is_counted_again(objective, audio, tmp_path):
    path = tmp_path / "clips.jsonl"
    before = folder_losses(objective, audio, ClipRecord(path, "key"))
    shutil.copy(audio / "a.wav", audio / "c.wav")
    after = folder_losses(objective, audio, ClipRecord(path, "key"))
    assert after[0] == before[0] and after[1] is not None


def test_the_place_of_the_folder_does_not_matter(objective, audio, tmp_path):
    elsewhere = shutil.copytree(audio, tmp_path / "elsewhere" / "copy")
    (elsewhere / "a.wav").rename(elsewhere / "z.wav")
    here, there = (
        dict(zip(find_clips(folder), folder_losses(objective, folder, record)))
        for folder, record in [
            (audio, ClipRecord(tmp_path / "1.jsonl", "")),
            (elsewhere, ClipRecord(tmp_path / "2.jsonl", "")),
        ]
    )
    assert here["deep/b.flac"] == there["deep/b.flac"]
    assert list(there) == ["c.wav", "deep/b.flac", "z.wav"]


def test_summary_by_hand():
    clip = dict(seconds=1.0, contrastive=18.0, diversity=20.0)
    losses = [
        dict(clip, masked=10, loss=20.0, hits=1),
        None,
        dict(clip, masked=30, loss=60.0, hits=7),
    ]
    summary = summarize_losses(losses)
    assert summary["loss"] == 40.0
    assert summary["loss_per_frame"] == 2.0
    assert summary["accuracy"] == 0.2
    assert (summary["clips"], summary["too_short"]) == (2, 1)


def test_nothing_but_short_clips():
    with pytest.raises(InputError, match="All 2 clips are too short"):
        summarize_losses([None, None])


def test_folders_without_audio(tmp_path):
    with pytest.raises(InputError, match="holds no wav or flac"):
        find_clips(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        find_clips(tmp_path / "missing")
