"""Made-up people: who comes, and the passwords of those who work here.

Names are common ones put together by chance; no patient here is anybody.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date

_SYLLABLES = tuple(f"{consonant}{vowel}" for consonant in "bdfghklmnprstvz" for vowel in "aeiou")


@dataclass(frozen=True, slots=True)
class Person:
    """A made-up patient; `name` as a clerk would type it."""

    name: str
    sex: str
    born: date
    phone: str = ""


def _table(lines: str) -> tuple[Person, ...]:
    """Read lines of name, sex, birth date and phone."""
    fields = (line.split("|") for line in lines.strip().splitlines())
    return tuple(Person(name.strip(), sex, date.fromisoformat(born), phone) for name, sex, born, phone in fields)


TODAY = _table("""
王秀兰|F|1951-02-17|13800010001
李建国|M|1958-09-30|13800010002
张伟|M|1961-03-04|13800010003
张薇|F|1988-11-30|13800010004
刘芳|F|1979-06-12|13800010005
陈静|F|1990-01-25|13800010006
杨文斌|M|1946-12-08|13800010007
黄丽娟|F|1967-05-19|13800010008
周玉梅|F|1955-10-02|13800010009
吴晓燕|F|1983-04-14|13800010010
徐志强|M|1972-08-21|13800010011
孙桂英|F|1949-07-07|13800010012
欧阳雪梅|F|1976-03-28|13800010013
单丽萍|F|1964-11-11|13800010014
仇文海|M|1953-01-09|13800010015
查文娟|F|1986-09-16|13800010016
曾繁华|M|1960-06-23|13800010017
林海燕|F|1981-02-05|13800010018
何桂花|F|1944-04-30|13800010019
郭凤英|F|1957-12-19|13800010020
梁国栋|M|1969-10-13|13800010021
宋美华|F|1974-07-26|13800010022
Novak^Petra|F|1970-05-03|13900020001
Okafor^Ngozi|F|1985-08-15|13900020002
Lindqvist^Ebba|F|1948-03-22|13900020003
Dubois^Mireille|F|1963-12-01|13900020004
O'Hara^Fintan|M|1956-02-27|13900020005
Kowalczyk^Zofia|F|1978-09-09|13900020006
Müller^Jörg|M|1950-11-18|13900020007
Haddad^Samir|M|1982-01-31|13900020008
Fernández^Lucía|F|1966-06-06|13900020009
Whitcombe^Alan|M|1943-10-24|13900020010
""")
NAMESAKE = Person("张伟", "M", date(1987, 7, 15), "13800010099")  # of the third above, on the same day
RETURNING = _table("""
罗秀珍|F|1954-08-08|13800030001
高建平|M|1962-04-17|13800030002
Andersson^Karin|F|1959-01-12|13900030003
许文静|F|1971-12-03|13800030004
""")
COMING = _table("""
傅晓东|M|1965-05-25|13800040001
沈月琴|F|1952-09-14|13800040002
彭建军|M|1977-02-19|13800040003
蔡丽华|F|1984-10-31|13800040004
丁志远|M|1947-06-29|13800040005
薛红梅|F|1968-03-11|13800040006
叶淑芬|F|1956-07-20|13800040007
尉迟明|M|1973-11-05|13800040008
Moreau^Luc|M|1961-08-27|13900040009
Bianchi^Chiara|F|1989-04-02|13900040010
Ivanova^Daria|F|1975-12-16|13900040011
Brandt^Holger|M|1949-02-08|13900040012
""")


def new_password() -> str:
    """Return a password of this run alone, easy to type at a signature."""
    words = ("".join(secrets.choice(_SYLLABLES) for _ in range(3)) for _ in range(2))
    return f"{'-'.join(words)}-{secrets.randbelow(90) + 10}"
