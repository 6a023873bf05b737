"""Archives put together by hand, as nobody would save them."""

from __future__ import annotations

import io
import zipfile

EMPTY_OBJECT = b"\x80\x02c__torch__\nM\n)\x81}b."
"""The pickle of an object of class `__torch__.M` without attributes."""


def archive(code: dict[str, str], data: bytes, version: str = "3", **others: bytes) -> bytes:
    """An archive with these files of code, this `data.pkl`, and `others` beside them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        out.writestr("m/version", version)
        out.writestr("m/data.pkl", data)
        out.writestr("m/constants.pkl", b"\x80\x02).")
        for name, text in code.items():
            out.writestr(f"m/code/{name}", text)
        for name, content in others.items():
            out.writestr(f"m/{name}", content)
    return buffer.getvalue()
