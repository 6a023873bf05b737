"""The zip layer: what it writes is aligned and readable by others; what it reads is not trusted."""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path

import pytest

from optc.archive.zip_reader import ZipReader
from optc.archive.zip_writer import ALIGNMENT, ZipWriter
from optc.errors import ArchiveError, OptcWarning

ENTRIES = {"m/data.pkl": b"x" * 77, "m/data/0": bytes(range(256)) * 9, "m/empty": b"", "m/code/a.py": b"pass\n" * 500}


def written() -> bytes:
    buffer = io.BytesIO()
    writer = ZipWriter(buffer)
    for name, data in ENTRIES.items():
        writer.add(name, data, compress=name.endswith(".py"))
    writer.close()
    return buffer.getvalue()


def test_pythons_own_reader_accepts_the_file_and_its_checksums() -> None:
    archive = zipfile.ZipFile(io.BytesIO(written()))
    assert archive.testzip() is None
    assert {name: archive.read(name) for name in archive.namelist()} == ENTRIES
    assert archive.getinfo("m/code/a.py").compress_type == zipfile.ZIP_DEFLATED


def test_data_of_every_entry_is_aligned() -> None:
    data = written()
    for entry in zipfile.ZipFile(io.BytesIO(data)).infolist():
        name_length, extra_length = (
            int.from_bytes(data[entry.header_offset + place : entry.header_offset + place + 2], "little")
            for place in (26, 28)
        )
        assert (entry.header_offset + 30 + name_length + extra_length) % ALIGNMENT == 0


@pytest.mark.parametrize("from_file", [True, False])
def test_reads_back_what_was_written(tmp_path: Path, from_file: bool) -> None:
    source: str | bytes = written()
    if from_file:
        path = tmp_path / "m.pt"
        path.write_bytes(written())
        source = str(path)
    reader = ZipReader(source)
    assert {name: bytes(reader.read(name)) for name in reader.names} == ENTRIES


def test_reads_what_python_writes() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in ENTRIES.items():
            archive.writestr(name, data)
    reader = ZipReader(buffer.getvalue())
    assert {name: bytes(reader.read(name)) for name in reader.names} == ENTRIES


def test_writing_to_a_mapped_entry_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(written())
    reader = ZipReader(path)
    reader.read("m/data/0")[0] = 99
    assert reader.read("m/data/0")[0] == 99
    assert path.read_bytes() == written()


def test_a_wrong_checksum_is_a_warning() -> None:
    data = bytearray(written())
    place = data.index(b"xxx")
    data[place] = ord("y")
    reader = ZipReader(bytes(data))
    with pytest.warns(OptcWarning, match="m/data.pkl: the checksum does not match"):
        reader.read("m/data.pkl")


@pytest.mark.parametrize("length", [0, 1, 21, 100, 1000, -1, -23])
def test_a_file_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(ArchiveError):
        ZipReader(written()[:length])


def test_a_missing_entry_is_named() -> None:
    with pytest.raises(ArchiveError, match="m/version: the entry is missing"):
        ZipReader(written()).read("m/version")


@pytest.mark.parametrize("seed", range(60))
def test_damage_anywhere_gives_an_archive_error_or_other_bytes(seed: int) -> None:
    data = bytearray(written())
    place = len(data) - 1 - seed * 11
    data[place] ^= 0xFF
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            reader = ZipReader(bytes(data))
            for name in reader.names:
                reader.read(name)
        except ArchiveError as error:
            assert str(error).startswith("<bytes>")
