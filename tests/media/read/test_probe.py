"""What is found in files made for it, and what is said of files that hold no video."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.media.captions import add_captions
from tests.media.cropping import crop_matroska
from videoinr_cli.errors import InputError, OutputError
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.media.streams import Crop
from videoinr_cli.media.write.containers import container_for
from videoinr_cli.media.write.kept_streams import decide_streams, log_changes, refuse_dropped

MakeClip = Callable[..., Path]
RunFfmpeg = Callable[..., None]


def test_a_plain_clip(make_clip: MakeClip) -> None:
    info = probe(make_clip("in.mp4", "-pix_fmt", "yuv420p", audio=True, frames=30, rate="30000/1001"))
    assert (info.width, info.height) == (64, 48)
    assert (info.codec, info.pix_fmt, info.bit_depth) == ("h264", "yuv420p", 8)
    assert info.frame_rate == Fraction(30000, 1001)
    assert info.time_base == Fraction(1, 30000)
    assert info.start_pts == 0
    assert info.duration == Fraction(1001, 1000)
    assert info.end_pts == 30030
    assert info.frame_count == 30
    assert info.sample_aspect_ratio == 1
    assert (info.rotation, info.mirrored) == (0, False)
    assert not info.has_alpha
    assert [(stream.kind, stream.codec) for stream in info.streams] == [("audio", "aac")]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("in.mkv", "libx264"), ("in.webm", "libvpx-vp9"), ("in.ts", "libx264"), ("in.mov", "prores_ks")],
)
def test_durations_are_of_the_video_and_not_of_the_file(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path, name: str, codec: str
) -> None:
    """The sound goes on for two seconds; the video lasts 0.4."""
    picture, clip = make_clip("picture.mkv", "-c:v", "ffv1"), tmp_path / name
    sound = ("-f", "lavfi", "-i", "sine=duration=2")
    run_ffmpeg("-i", picture, *sound, "-map", 0, "-map", 1, "-c:v", codec, clip)
    assert probe(clip).duration == Fraction(2, 5)


@pytest.mark.parametrize(
    ("name", "codec"), [("in.mkv", "libx264"), ("in.webm", "libvpx-vp9"), ("in.apng", "apng")]
)
def test_the_packets_tell_how_long_a_file_is_that_does_not_say(
    make_clip: MakeClip, name: str, codec: str
) -> None:
    """As files are that are written to a pipe, or by a recorder that crashed."""
    clip = make_clip(name, "-c:v", codec, "-live", 1) if codec != "apng" else make_clip(name, "-c:v", codec)
    with av.open(str(clip)) as container:
        assert container.duration is None
    info = probe(clip)
    assert info.duration == Fraction(2, 5)
    assert info.last_pts == round(Fraction(9, 25) / info.time_base)


def test_files_without_a_length_that_were_joined_have_that_of_both(make_clip: MakeClip) -> None:
    """The clock starts anew in their midst, so that the last time is not their end."""
    clip = make_clip("in.mkv", "-live", 1)
    clip.write_bytes(2 * clip.read_bytes())
    info = probe(clip)
    times = [frame.pts * info.time_base for frame in read_frames(info)]
    assert times == [Fraction(number, 25) for number in range(20)]
    assert info.duration == Fraction(20, 25)


def test_a_raw_stream_without_times_has_no_length(make_clip: MakeClip) -> None:
    assert probe(make_clip("in.h264")).duration is None


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("rotation", [0, 90])
def test_the_picture_is_cropped_as_the_file_asks(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, suffix: str, rotation: int
) -> None:
    """Matroska by PixelCrop, mp4 by its clean aperture; as ffmpeg's own program does."""
    clip = make_clip("in.mkv", "-pix_fmt", "yuv444p", "-write_crc32", 0)
    whole = list(read_frames(probe(clip)))
    crop_matroska(clip, top=2, bottom=6, left=10, right=4)
    copy, shown = clip.with_name(f"copy{suffix}"), clip.with_name("shown.mkv")
    run_ffmpeg("-display_rotation", -rotation, "-i", clip, "-c", "copy", copy)
    info = probe(copy)
    assert info.crop == Crop(top=2, bottom=6, left=10, right=4)
    assert info.coded_size == (64, 48)
    assert (info.width, info.height) == ((50, 40) if rotation == 0 else (40, 50))
    run_ffmpeg("-i", copy, "-c:v", "ffv1", shown)
    wanted = list(read_frames(probe(shown)))
    found = list(read_frames(info))
    for ours, theirs, full in zip(found, wanted, whole, strict=True):
        np.testing.assert_array_equal(ours.rgb, theirs.rgb)
        np.testing.assert_array_equal(ours.rgb, np.rot90(full.rgb[2:42, 10:60], -rotation // 90))


def test_an_end_before_the_last_frame_is_not_believed(make_clip: MakeClip) -> None:
    """What ffmpeg writes of a variable rate with B-frames: the track's end lies before its last frame."""
    uneven = "settb=1/90000,setpts='30*(N*N+90*N)'"
    options = ("-bf", 2, "-fps_mode", "passthrough", "-enc_time_base", "1:90000")
    clip = make_clip("in.mp4", *options, filters=uneven, frames=50)
    last = 30 * (49**2 + 90 * 49)
    with av.open(str(clip)) as container:
        assert (container.streams.video[0].duration or 0) < last
    info = probe(clip)
    assert info.last_pts == last
    assert info.end_pts == last + 3600  # as its packet says


@pytest.mark.parametrize("frames", [10, 14, 20, 25, 60])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("size", [(64, 48), (320, 240)])
def test_a_program_stream_ends_with_its_last_frame(
    size: tuple[int, int], b_frames: int, frames: int, make_clip: MakeClip
) -> None:
    """Small pictures share packets of the file, in which only the first of them has a time."""
    options = ("-c:v", "mpeg2video", "-bf", b_frames, "-q:v", 3)
    info = probe(make_clip("in.mpg", *options, size=size, frames=frames))
    times = [(frame.pts - info.start_pts) * info.time_base for frame in read_frames(info)]
    assert times == [Fraction(number, 25) for number in range(frames)]
    assert info.last_pts is not None
    assert (info.last_pts - info.start_pts) * info.time_base == times[-1]
    assert info.duration == Fraction(frames, 25)
    assert info.missing_seconds == 0


def test_frames_that_an_edit_list_hides_at_the_end_do_not_count(make_clip: MakeClip) -> None:
    clip = make_clip("in.mp4", "-movie_timescale", 1000, frames=50)
    content = bytearray(clip.read_bytes())
    duration = content.index(b"elst") + 12  # after version, flags and the number of entries
    assert int.from_bytes(content[duration : duration + 4], "big") == 2000
    content[duration : duration + 4] = (1000).to_bytes(4, "big")
    clip.write_bytes(content)
    info = probe(clip)
    assert info.duration == 1
    assert [frame.pts * info.time_base for frame in read_frames(info)] == [Fraction(n, 25) for n in range(25)]
    assert info.last_pts in (None, 24 * 512)


def test_the_colour_that_is_written_is_found(make_clip: MakeClip) -> None:
    tags = "color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv"
    info = probe(
        make_clip("in.mp4", "-chroma_sample_location", 3, filters=f"format=yuv420p10le,setparams={tags}")
    )
    assert info.bit_depth == 10
    assert info.colour.matrix == "bt2020nc"
    assert info.colour.primaries == "bt2020"
    assert info.colour.transfer == "smpte2084"
    assert info.colour.range == "limited"
    assert info.colour.chroma_location == "topleft"
    assert info.colour.is_hdr
    assert info.colour.unknown == ()


@pytest.mark.parametrize(
    ("size", "matrix", "primaries"),
    [
        ((720, 480), "smpte170m", "smpte170m"),
        ((720, 576), "bt470bg", "bt470bg"),
        ((1280, 720), "bt709", "bt709"),
    ],
)
def test_colour_that_is_not_said_is_guessed_by_size(
    make_clip: MakeClip, size: tuple[int, int], matrix: str, primaries: str
) -> None:
    info = probe(make_clip("in.mkv", "-c:v", "ffv1", filters="format=yuv420p", size=size, frames=1))
    assert info.colour.matrix is None
    assert info.resolved_colour.matrix == matrix
    assert info.resolved_colour.primaries == primaries
    assert info.resolved_colour.range == "limited"


def test_full_range_is_found_by_tag_and_by_pixel_format(make_clip: MakeClip) -> None:
    tagged = make_clip("tag.mp4", filters="format=yuv420p,setparams=range=pc", frames=2)
    assert probe(tagged).colour.range == "full"
    assert probe(make_clip("in.mov", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p")).colour.range == "full"


def test_the_shape_of_pixels_turns_with_the_picture(make_clip: MakeClip, run_ffmpeg: RunFfmpeg) -> None:
    clip = make_clip("in.mp4", filters="setsar=16/11")
    assert probe(clip).sample_aspect_ratio == Fraction(16, 11)
    turned = clip.with_name("turned.mp4")
    run_ffmpeg("-display_rotation", 90, "-i", clip, "-c", "copy", turned)
    assert probe(turned).sample_aspect_ratio == Fraction(11, 16)


def test_where_the_file_starts(make_clip: MakeClip, run_ffmpeg: RunFfmpeg) -> None:
    picture = make_clip("picture.mkv")
    clip, both = picture.with_name("late.mkv"), picture.with_name("both.mkv")
    sound = ("-f", "lavfi", "-i", "sine=duration=1")
    run_ffmpeg("-itsoffset", 3, "-i", picture, *sound, "-c:v", "copy", "-c:a", "pcm_s16le", clip)
    info = probe(clip)
    assert info.start_pts * info.time_base == 3
    assert info.origin == 0
    assert info.duration == Fraction(2, 5)
    run_ffmpeg("-itsoffset", 2, "-i", clip, "-c", "copy", "-copyts", both)
    assert probe(both).start_pts * probe(both).time_base == 5
    assert probe(both).origin == 2


def test_interlacing_is_told(make_clip: MakeClip) -> None:
    clip = make_clip(
        "in.mkv",
        "-c:v",
        "mpeg2video",
        "-flags",
        "+ildct+ilme",
        filters="setfield=bff,format=yuv420p",
        frames=5,
    )
    assert probe(clip).field_order == "flagged"
    assert probe(make_clip("plain.mp4")).field_order == "progressive"


def test_streams_beside_the_video(make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path) -> None:
    clip = make_clip("in.mp4", audio=True)
    (tmp_path / "lines.srt").write_text("1\n00:00:00,100 --> 00:00:00,300\nHello\n")
    full = tmp_path / "full.mkv"
    run_ffmpeg(
        *("-i", clip, "-i", tmp_path / "lines.srt", "-map", 0, "-map", 1, "-c", "copy", "-c:s", "ass"),
        *("-metadata:s:a:0", "language=deu", "-metadata:s:a:0", "title=Stereo", "-disposition:s:0", "forced"),
        *("-attach", tmp_path / "lines.srt", "-metadata:s:t:0", "mimetype=text/plain", full),
    )
    sound, lines, attached = probe(full).streams
    assert (sound.kind, sound.language, sound.title) == ("audio", "deu", "Stereo")
    assert (lines.kind, lines.codec, lines.disposition) == ("subtitle", "ass", ("forced",))
    assert (attached.kind, attached.title) == ("attachment", "lines.srt")


def test_captions_within_the_frames_are_found_and_said_to_be_lost(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_clip("plain.h264", "-bf", 2)
    captioned = clip.with_name("captioned.h264")
    add_captions(clip, captioned)
    with av.open(str(captioned)) as container:
        frames = [frame.side_data.get("A53_CC") for frame in container.decode(video=0)]
    assert frames
    assert None not in frames
    assert probe(clip).lost_side_data == ()
    info = probe(captioned)
    assert info.lost_side_data == ("closed captions",)
    streams = decide_streams(info, container_for(Path("out.mkv")))
    log_changes(streams)
    assert "closed captions" in caplog.text
    with pytest.raises(OutputError, match="closed captions"):
        refuse_dropped(streams)


def test_how_the_two_pictures_of_3d_lie_in_one_is_found(make_clip: MakeClip) -> None:
    clip = make_clip("in.mp4", "-c:v", "libx264", "-x264-params", "frame-packing=3", frames=2)
    assert probe(clip).lost_side_data == ("stereoscopic 3D metadata",)


def test_that_a_picture_is_a_sphere_is_found(make_clip: MakeClip, tmp_path: Path) -> None:
    """By Google's first specification: XML in a box of its own at the end of the track."""
    content = bytearray(make_clip("in.mp4", frames=2).read_bytes())
    space = "http://ns.google.com/videos/1.0/spherical/"
    said = {"Spherical": "true", "Stitched": "true", "StitchingSoftware": "by hand"}
    said["ProjectionType"] = "equirectangular"
    words = "".join(f"<GSpherical:{name}>{value}</GSpherical:{name}>" for name, value in said.items())
    xml = f'<rdf:SphericalVideo xmlns:GSpherical="{space}">{words}</rdf:SphericalVideo>'.encode()
    kind = b"uuid" + bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
    box = (4 + len(kind) + len(xml)).to_bytes(4, "big") + kind + xml
    track = content.index(b"trak") - 4
    end = track + int.from_bytes(content[track : track + 4], "big")
    for start in (content.index(b"moov") - 4, track):
        size = int.from_bytes(content[start : start + 4], "big") + len(box)
        content[start : start + 4] = size.to_bytes(4, "big")
    content[end:end] = box
    clip = tmp_path / "sphere.mp4"
    clip.write_bytes(content)
    assert probe(clip).lost_side_data == ("360° metadata",)


def test_cover_art_is_no_video(make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path) -> None:
    picture, sound = make_clip("cover.png", "-update", 1, frames=1), tmp_path / "song.m4a"
    run_ffmpeg(
        *("-i", picture, "-f", "lavfi", "-i", "sine=duration=1", "-map", 1, "-map", 0, "-c:v", "copy"),
        *("-disposition:v:0", "attached_pic", sound),
    )
    with pytest.raises(InputError, match="there is no video in"):
        probe(sound)


def test_a_missing_file_is_told_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a:c.mp4", "http:c.mp4", "-c.mp4"):
        with pytest.raises(InputError, match=f"there is no file '{name}'; check the path"):
            probe(name)
    with pytest.raises(InputError, match="is an address; download the video first, or pipe it"):
        probe(Path("https://here/c.mp4"))


def test_what_is_no_video_is_said_in_a_line(
    tmp_path: Path, run_ffmpeg: RunFfmpeg, make_clip: MakeClip
) -> None:
    (tmp_path / "notes.txt").write_text("no video at all\n" * 50)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "data.json").write_text(json.dumps({"a": 1}))
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=1", tmp_path / "sound.wav")
    whole = make_clip("whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # the index is at its end
    for name, words in [
        ("missing.mp4", "there is no file .*; check the path"),
        (".", "is a folder without images; name a video file"),
        ("notes.txt", "cannot be read as a video"),
        ("empty.mp4", "cannot be read as a video"),
        ("data.json", "cannot be read as a video"),
        ("cut.mp4", "is it a complete file"),
        ("sound.wav", "there is no video in .*, only audio"),
    ]:
        with pytest.raises(InputError, match=words) as caught:
            probe(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("channels", ["6.1", "7.1"])
def test_sound_whose_channels_are_in_an_order_of_their_own_ends_no_process(
    make_clip: MakeClip, channels: str
) -> None:
    """QuickTime stores PCM in Apple's order; PyAV frees such a layout twice when it is asked for."""
    sound = ("-f", "lavfi", "-i", f"anullsrc=channel_layout={channels}:sample_rate=48000")
    clip = make_clip("in.mov", "-c:a", "pcm_s16le", "-t", 0.2, before=sound, frames=5)
    (stream,) = probe(clip).streams
    assert not stream.is_empty
    assert stream.sample_rate == 48000
    assert stream.detail == f"48000 Hz, {channels}"


@pytest.mark.parametrize("index_first", [False, True])
def test_an_encrypted_video_is_called_so(make_clip: MakeClip, index_first: bool) -> None:
    key = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "0" * 32, "-encryption_kid", "1" * 32)
    clip = make_clip("in.mp4", *key, *(("-movflags", "faststart") if index_first else ()))
    with pytest.raises(InputError, match="can be decoded: it is encrypted; only the programs") as caught:
        probe(clip)
    assert "\n" not in str(caught.value)


def test_an_animated_webp_is_called_so(tmp_path: Path) -> None:
    first, *rest = (Image.new("RGB", (64, 48), (20 * shade, 0, 0)) for shade in range(4))
    first.save(tmp_path / "in.webp", save_all=True, append_images=rest, duration=40)
    with pytest.raises(InputError, match="it is an animated WebP, which ffmpeg does not read; convert it"):
        probe(tmp_path / "in.webp")
    first.save(tmp_path / "still.webp")
    assert probe(tmp_path / "still.webp").codec == "webp"
