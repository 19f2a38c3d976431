"""The one check of samples in memory, and the scaling of integers."""

import numpy as np
import pytest
from helpers.audio import tone

from modeling_paraclap.waveform_paraclap import AudioError, check_waveform, is_silent, scale_samples, why_unusable

SPEECH = tone(0.5)


@pytest.mark.parametrize("dtype", ["<i1", "<i2", ">i2", "<i4", ">i4", "u1"])
def test_integers_are_scaled_by_their_type_in_any_byte_order(dtype):
    limits = np.iinfo(dtype)
    ends = np.array([[limits.min, limits.max, (limits.min + limits.max + 1) // 2]], dtype)
    scaled = scale_samples(ends)
    assert scaled.dtype == np.float32
    assert scaled.dtype.isnative
    np.testing.assert_allclose(scaled, [[-1, 1, 0]], atol=2 / (limits.max - limits.min) + 1e-7)


@pytest.mark.parametrize("dtype", ["f2", "<f4", ">f4", "f8", "g"])
def test_floats_are_kept(dtype):
    np.testing.assert_allclose(scale_samples(SPEECH.astype(dtype)), SPEECH, atol=1e-3 if dtype == "f2" else 1e-7)
    assert scale_samples(SPEECH) is SPEECH


@pytest.mark.parametrize("dtype", ["i8", "u2", "u4", "u8", "c8", "?", "U3", "O", "M8[s]"])
def test_types_of_no_known_scale_are_refused(dtype):
    with pytest.raises(AudioError, match=r"speech has samples of the type .* Pass floats in \[-1, 1\], or 16-bit"):
        scale_samples(np.zeros(8000).astype(dtype), "speech")


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (np.nan, "NaN or infinite"),
        (-np.inf, "NaN or infinite"),
        (1e300, "NaN or infinite"),
        (1e38, r"a sample of 1e\+38"),
        (-101, "a sample of 101; floats are expected"),
        (32767, "divide by 32768"),
    ],
)
def test_one_impossible_sample_is_enough(sample, message):
    waveform = np.full((8000, 2), 0.1)
    waveform[6000, 1] = sample
    with pytest.raises(AudioError, match=message):
        scale_samples(waveform)
    if np.abs(sample) < 1e39:
        with pytest.raises(AudioError, match=message):
            check_waveform(waveform.astype(np.float32), 16000)


def test_the_check_says_why_a_waveform_cannot_be_described():
    assert why_unusable(SPEECH, 16000, least_samples=8000) is None
    assert why_unusable(np.stack([SPEECH, -0.5 * SPEECH], 1), 16000) is None
    for waveform, least, message in [
        (SPEECH[:0], 1, "speech is empty"),
        (SPEECH[:399], 400, r"speech is too short: 399 samples at 16000 Hz \(0\.0249 s\).*needs 400"),
        (np.zeros(8000, np.float32), 400, "speech is silent"),
        (np.full(8000, 0.5, np.float32), 400, "speech is silent"),
        (np.stack([SPEECH, -SPEECH], 1), 400, "speech is silent.*cancel each other"),
        (np.full((8000, 2), 3e38, np.float32), 400, "speech has a sample of 3e"),
    ]:
        with pytest.raises(AudioError, match=message):
            check_waveform(waveform, 16000, least, "speech")
    check_waveform(np.zeros(8000, np.float32), 16000, 400, silence=True)
    with pytest.raises(AudioError, match="too short"):
        check_waveform(np.zeros(80, np.float32), 16000, 400, silence=True)


def test_silence_is_digital_silence():
    assert is_silent(np.zeros(9, np.float32))
    assert is_silent(np.full(9, 0.5, np.float32))
    assert is_silent(np.float32([0, 1e-6, -1e-6]))  # rounding of a decoder
    assert not is_silent(np.float32([0, 3.05e-5, 0]))  # one step of 16 bits
