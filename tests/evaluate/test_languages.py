"""The language of a text, told where it can be."""

from __future__ import annotations

import pytest

from urial_tui.evaluate.languages import language_of


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Which of these recipes would you cook for a group of friends?"),
        ("en", "Write a haiku about the sea."),
        ("de", "Gib mir drei Tipps, wie ich besser schlafen kann."),
        ("fr", "Explique-moi pourquoi le ciel est bleu pendant la journée."),
        ("es", "Explícame por qué el cielo es azul durante el día."),
        ("it", "Spiegami perché il cielo è blu durante il giorno, per favore."),
        ("pt", "Explique por que o céu é azul durante o dia, por favor."),
        ("nl", "Leg mij uit waarom de lucht overdag blauw is, alsjeblieft."),
        ("sv", "Förklara för mig varför himlen är blå på dagen."),
        ("no", "Kan du forklare meg hvorfor himmelen er blå om dagen?"),
        ("pl", "Wyjaśnij mi, dlaczego niebo w ciągu dnia jest niebieskie."),
        ("cs", "Vysvětli mi prosím, proč je obloha přes den modrá."),
        ("tr", "Gökyüzünün gündüzleri neden mavi olduğunu bana açıklar mısın?"),
        ("ru", "Объясни мне, пожалуйста, почему днём небо голубое."),
        ("uk", "Поясни мені, будь ласка, чому вдень небо блакитне."),
        ("el", "Εξήγησέ μου γιατί ο ουρανός είναι γαλάζιος την ημέρα."),
        ("ar", "اشرح لي من فضلك لماذا تبدو السماء زرقاء في النهار"),
        ("he", "תסביר לי בבקשה למה השמיים כחולים במשך היום"),
        ("hi", "मुझे समझाओ कि दिन में आसमान नीला क्यों होता है।"),
        ("zh", "请解释一下为什么白天的天空是蓝色的。"),
        ("ja", "昼間の空がなぜ青いのか説明してください。"),
        ("ko", "낮에 하늘이 왜 파란지 설명해 주세요."),
        ("th", "ช่วยอธิบายหน่อยว่าทำไมท้องฟ้าตอนกลางวันจึงเป็นสีฟ้า"),
        ("vi", "Hãy giải thích cho tôi vì sao ban ngày bầu trời có màu xanh."),
        ("id", "Tolong jelaskan kepada saya mengapa langit berwarna biru pada siang hari."),
    ],
)
def test_sentences(language: str, text: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "42",
        "Paris",
        "4 + 5 = 9",
        "Yes.",
        "北京",
        "```python\nfor item in items:\n    print(item)\n```",
        "https://example.org/why-is-the-sky-blue",
        "asdkjh qwe zxc vbnm",
        "\ud800\udfff" * 40,
    ],
)
def test_what_can_not_be_told_is_unknown(text: str) -> None:
    assert language_of(text) is None


def test_code_does_not_decide() -> None:
    text = "Hier ist eine Schleife, die alle Zeilen der Datei ausgibt:\n\n```\n{}\n```"
    code = "for line in open(name):\n    print(line)  # print every line of the file\n" * 20
    assert language_of(text.format(code)) == "de"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("end", [" ", "\n"])
def test_going_round_in_circles_changes_no_language(end: str) -> None:
    assert language_of(f"Der Himmel ist am Tag blau, und in der Nacht nicht.{end}" * 20_000) == "de"


@pytest.mark.timeout(20)
def test_one_endless_word_is_looked_at_from_the_start() -> None:
    assert language_of("ab" * 1_000_000) is None
