"""``python -m chalkgrad.tasks.caption.shipping``: make the emoji that ship from those that are fetched.

What is chosen: every other trade, sport or gesture that a woman, a man and a person have in all skin tones
(with all of these), every fourth of the other hands and people with skin tones, and of what has none, flags
apart, as many as fill the sheet.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import defaultdict

from chalkgrad.files import write
from chalkgrad.tasks.caption.emoji import COLUMNS, LANGUAGES, PIXELS, SHIPPED, TONES, Emoji, fetched
from chalkgrad.tasks.extra import extra
from chalkgrad.tasks.sets import EMOJI

COUNT = 1440


def chosen(emoji: list[Emoji], count: int = COUNT) -> list[Emoji]:
    """The ones that ship, in the order of their characters."""
    families: dict[str, list[Emoji]] = defaultdict(list)
    for each in emoji:
        families[each.base].append(each)
    tones = {base: {t for e in family for t in toned(e)} for base, family in families.items()}
    most = {base: max(len(toned(e)) for e in family) for base, family in families.items()}
    people = sorted(base for base, family in families.items() if most[base] == 1 and len(family) >= 15)
    hands = sorted(base for base in families if most[base] == 1 and tones[base] and base not in people)
    bases = {*people[::2], *hands[::4]}
    others = [e for e in emoji if not tones[e.base] and not e.names["en"].startswith("flag:")]
    taken = [e for base in sorted(bases) for e in families[base]]
    room = min(max(0, count - len(taken)), len(others))
    spread = [others[i * len(others) // room] for i in range(room)]
    return sorted([*taken, *spread], key=lambda e: e.characters)


def toned(emoji: Emoji) -> list[int]:
    """The skin tones in a sequence."""
    return [ord(c) for c in emoji.characters if ord(c) in TONES]


def files(emoji: list[Emoji]) -> dict[str, bytes]:
    """The sheet of pictures and the table of names."""
    image = extra("PIL.Image", "Pillow")
    sheet = image.new("RGB", (COLUMNS * PIXELS, -(-len(emoji) // COLUMNS) * PIXELS), "white")
    for number, each in enumerate(emoji):
        sheet.paste(each.picture, (number % COLUMNS * PIXELS, number // COLUMNS * PIXELS))
    png = io.BytesIO()
    sheet.save(png, "PNG", optimize=True)
    rows = ["\t".join((e.characters, *(e.names[language] for language in LANGUAGES))) for e in emoji]
    table = "\n".join(["\t".join(("emoji", *LANGUAGES)), *rows]) + "\n"
    return {"pictures.png": png.getvalue(), "names.tsv": table.encode()}


def main() -> None:
    made = files(chosen(fetched()))
    made["LICENSE-Unicode-3.0.txt"] = EMOJI.file("names/LICENSE").read_bytes()
    made["LICENSE-OFL-1.1.txt"] = (SHIPPED / "LICENSE-OFL-1.1.txt").read_bytes()
    about = {
        "pictures": "Noto Color Emoji, copyright 2013-2017 Google Inc. and Arjen Nienhuis, OFL-1.1; "
        "made smaller, on white",
        "names": "Unicode CLDR 48.2, copyright 2004-2026 Unicode, Inc., Unicode-3.0; a selection",
        "from": [f"{p.client} {p.name} {p.version} ({p.licence})" for p in EMOJI.packages],
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(made.items())},
    }
    made["manifest.json"] = (json.dumps(about, indent=1) + "\n").encode()
    for name, content in made.items():
        write(SHIPPED / name, content)
        print(f"{SHIPPED.name}/{name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()


__all__ = ["chosen", "files"]
