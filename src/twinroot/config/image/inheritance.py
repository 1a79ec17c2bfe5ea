"""How the files of a chain of base configurations become one (image-config spec, section 8).

What is not in this table merges as `merge` says: objects key by key, lists one after the other, of single values the
last that is set counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from twinroot.config.document import Document
from twinroot.config.merge import How, merge
from twinroot.config.problems import KeyPath

EXCEPTIONS: dict[KeyPath, How] = {
    ("baseConfigs",): How.LEFT_OUT,
    ("previewFeatures",): How.UNION,
    ("input", "image"): How.LAST_FILLED,
    ("output", "artifacts", "items"): How.UNION,
    ("os", "uki"): How.LAST_OBJECT,
    ("os", "packages", "updateExistingPackages"): How.ANY_TRUE,
}


def inherit(documents: Sequence[Document]) -> Document:
    """One document from those of a chain, bases first; what is wrong in them stays wrong."""
    return Document(merge([document.root for document in documents], EXCEPTIONS))
