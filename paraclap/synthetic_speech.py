"""Speech-like sound by source and filter: voices of known pitch, level and roughness for the demo and the tests.

Nobody was recorded: a train of glottal pulses and a little breath pass through formant resonators that glide from vowel
to vowel. It babbles rather than speaks, but pitch, loudness, tempo, jitter and shimmer are those asked for.
"""

from dataclasses import dataclass

import numpy as np

SAMPLING_RATE = 16000

# The first four formants in Hz of an adult male's vowels (Peterson & Barney, 1952; the fourth is a customary value).
VOWELS = {
    "i": (270, 2290, 3010, 3500),
    "e": (530, 1840, 2480, 3500),
    "a": (730, 1090, 2440, 3500),
    "o": (570, 840, 2410, 3500),
    "u": (300, 870, 2240, 3500),
}
BANDWIDTHS = (70, 100, 150, 250)  # of the formants, in Hz


@dataclass(frozen=True)
class Voice:
    """How a synthetic voice speaks.

    Args:
        name: Name of the voice in the demo.
        pitch: Mean fundamental frequency in Hz.
        pitch_range: Excursion of the intonation about it, in semitones to either side.
        syllable_rate: Syllables a second.
        level: RMS level of the voiced parts in dB relative to full scale; 0 is the loudest there is.
        formant_scale: Formants relative to an adult male's; about 1.17 for an adult female's shorter vocal tract.
        jitter: Standard deviation of the period, relative to the period.
        shimmer: Standard deviation of the pulses' amplitude, in dB.
        breath: Amplitude of the aspiration noise relative to the pulses'.
    """

    name: str
    pitch: float
    pitch_range: float
    syllable_rate: float
    level: float
    formant_scale: float = 1.0
    jitter: float = 0.004
    shimmer: float = 0.2
    breath: float = 0.03


VOICES = (
    Voice("low and calm", pitch=95, pitch_range=1.5, syllable_rate=3.0, level=-30),
    Voice("high and excited", pitch=260, pitch_range=7, syllable_rate=5.5, level=-18, formant_scale=1.17),
    Voice(
        "quiet and monotonous", pitch=180, pitch_range=0.2, syllable_rate=3.0, level=-45, formant_scale=1.17, breath=0.1
    ),
    Voice("loud and rough", pitch=150, pitch_range=5, syllable_rate=4.5, level=-17, jitter=0.03, shimmer=1.5),
)


def synthesise(voice: Voice, duration: float = 3.0, seed: int = 0) -> np.ndarray:
    """Return a voice babbling.

    Args:
        voice: Its parameters.
        duration: In seconds; at least 0.5.
        seed: Seed of vowels, accents, roughness and noise.

    Returns:
        (samples,) float32 in [-1, 1] at 16 kHz.

    Raises:
        ValueError: If the duration is below 0.5 s.
    """
    if duration < 0.5:
        raise ValueError(f"duration is {duration} s; a few syllables need at least 0.5 s.")
    rng = np.random.default_rng(seed)
    time = np.arange(int(duration * SAMPLING_RATE)) / SAMPLING_RATE
    syllable = 1 / voice.syllable_rate
    onsets = np.arange(0.1, duration - syllable, syllable)
    loudness = _syllables(time, onsets, syllable)
    source = _glottal_source(voice, time, onsets, rng) * loudness
    vowels = rng.choice(list(VOWELS), len(onsets))
    formants = np.array([VOWELS[vowel] for vowel in vowels]) * voice.formant_scale
    sound = _vocal_tract(source, time, onsets + syllable / 2, formants)
    voiced = loudness > 0.5
    sound *= 10 ** (voice.level / 20) / np.sqrt(np.mean(sound[voiced] ** 2))
    sound += _consonants(time, onsets, rng) * 10 ** ((voice.level - 12) / 20)
    sound += 10 ** (-75 / 20) * rng.standard_normal(len(time))  # the room: no recording is digital silence
    return (sound / max(1.0, np.abs(sound).max())).astype(np.float32)


def _syllables(time: np.ndarray, onsets: np.ndarray, length: float) -> np.ndarray:
    """Amplitude of the voice over time, in [0, 1]: a smooth hump a syllable, with a short closure in between."""
    amplitude = np.zeros_like(time)
    for onset in onsets:
        position = np.clip((time - onset) / (0.85 * length), 0, 1)
        amplitude = np.maximum(amplitude, np.minimum(1, 1.6 * np.sin(np.pi * position)))
    return amplitude


def _glottal_source(voice: Voice, time: np.ndarray, onsets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the derivative of the glottal flow (Rosenberg's pulse: opens for 40 %, closes in 16 %) plus breath."""
    accents = np.interp(time, onsets, rng.uniform(-1, 1, len(onsets)))
    declination = np.linspace(0.5, -0.5, len(time))
    semitones = voice.pitch_range * (0.7 * accents + 0.6 * declination)
    pitch = voice.pitch * 2 ** ((semitones - semitones.mean()) / 12)

    starts = [0.0]
    while starts[-1] < time[-1]:
        period = 1 / pitch[min(int(starts[-1] * SAMPLING_RATE), len(pitch) - 1)]
        starts.append(starts[-1] + period * np.clip(1 + voice.jitter * rng.standard_normal(), 0.7, 1.3))
    starts = np.array(starts)
    pulse = np.searchsorted(starts, time, side="right") - 1
    phase = (time - starts[pulse]) / (starts[pulse + 1] - starts[pulse])
    strength = 10 ** (voice.shimmer * rng.standard_normal(len(starts)) / 20)
    opening = 0.5 * (1 - np.cos(np.pi * phase / 0.4))
    closing = np.cos(np.pi / 2 * (phase - 0.4) / 0.16)
    flow = np.where(phase < 0.4, opening, np.where(phase < 0.56, closing, 0)) * strength[pulse]
    derivative = np.diff(flow, prepend=0)
    breath = voice.breath * np.std(derivative) * rng.standard_normal(len(time))
    return derivative + breath


def _vocal_tract(source: np.ndarray, time: np.ndarray, middles: np.ndarray, formants: np.ndarray) -> np.ndarray:
    """Four resonators in a row; the formants (syllables, 4) glide from one syllable's middle to the next."""
    from scipy.signal import lfilter

    frame = SAMPLING_RATE // 200
    sound = source.copy()
    for index, bandwidth in enumerate(BANDWIDTHS):
        frequency = np.interp(time, middles, formants[:, index])
        radius = np.exp(-np.pi * bandwidth / SAMPLING_RATE)
        state = np.zeros(2)
        for start in range(0, len(sound), frame):
            poles = [1, -2 * radius * np.cos(2 * np.pi * frequency[start] / SAMPLING_RATE), radius**2]
            chunk = slice(start, start + frame)
            sound[chunk], state = lfilter([sum(poles)], poles, sound[chunk], zi=state)
    return sound


def _consonants(time: np.ndarray, onsets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return s-like bursts of noise above 3.5 kHz, 60 ms long and of unit RMS, before every other syllable."""
    from scipy.signal import butter, sosfilt

    noise = sosfilt(butter(4, 3500, "high", fs=SAMPLING_RATE, output="sos"), rng.standard_normal(len(time)))
    gate = np.zeros_like(time)
    for onset in onsets[::2]:
        gate = np.maximum(gate, np.clip(1 - np.abs(time - onset) / 0.04, 0, 1))
    return noise / np.std(noise) * gate
