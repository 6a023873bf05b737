"""Annotations for arguments where a number stands for a list of so many equal ones: `BroadcastingList2[int]`.

Scripts read them by name; to Python both are right.
"""

from typing import TypeAlias, TypeVar

Element = TypeVar("Element")

BroadcastingList1: TypeAlias = list[Element] | Element
BroadcastingList2: TypeAlias = list[Element] | Element
BroadcastingList3: TypeAlias = list[Element] | Element
