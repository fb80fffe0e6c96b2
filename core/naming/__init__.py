"""How people are named and numbered: names in any script, search terms, identifiers, numbers with a check digit.

One folder, so that the clerk's form, the filing rule, the worklist and the charset doctor spell a person alike.
"""

from core.naming.agreement import Agreement, Likeness, Person, names_agree, same_name_key, similar
from core.naming.national_id import NationalId, mask_national_id, read_national_id
from core.naming.numbers import check, is_placeholder, normalise_identifier, with_check_digit
from core.naming.people import NameGroup, PersonName, build_name
from core.naming.readings import has_ideographs, romanise
from core.naming.search import normalise_query, search_terms

__all__ = [
    "Agreement",
    "Likeness",
    "NameGroup",
    "NationalId",
    "Person",
    "PersonName",
    "build_name",
    "check",
    "has_ideographs",
    "is_placeholder",
    "mask_national_id",
    "names_agree",
    "normalise_identifier",
    "normalise_query",
    "read_national_id",
    "romanise",
    "same_name_key",
    "search_terms",
    "similar",
    "with_check_digit",
]
