"""Where a judge's endpoint is, its key, and what a run is reckoned to take."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluate.endpoint_runs import questions
from urial_tui.evaluate.endpoint import EndpointSettings
from urial_tui.evaluate.endpoint_address import (
    JUDGE,
    address_of,
    caution,
    key_of_environment,
)
from urial_tui.evaluate.endpoint_estimate import (
    Prices,
    Prompt,
    estimate,
    estimate_answers,
    in_words,
)
from urial_tui.evaluate.endpoint_judge import EndpointJudge
from urial_tui.evaluate.items import EvaluateError


class TestAddresses:
    @pytest.mark.parametrize(
        ("typed", "url"),
        [
            ("http://localhost:8080", "http://localhost:8080/v1/chat/completions"),
            ("http://localhost:8080/", "http://localhost:8080/v1/chat/completions"),
            ("http://localhost:8080/v1", "http://localhost:8080/v1/chat/completions"),
            ("http://localhost:8080/v1/", "http://localhost:8080/v1/chat/completions"),
            ("  http://h/v1/chat/completions ", "http://h/v1/chat/completions"),
            ("http://h/chat/completions/", "http://h/chat/completions"),
            ("https://h/api/v1", "https://h/api/v1/chat/completions"),
            ("https://h/openai/deployments/x", "https://h/openai/deployments/x/chat/completions"),
            ("http://[::1]:80/v1", "http://[::1]:80/v1/chat/completions"),
            ("HTTPS://H", "https://H/v1/chat/completions"),
        ],
    )
    def test_a_path_stays_and_a_missing_one_is_v1(self, typed: str, url: str) -> None:
        assert address_of(typed).url == url

    @pytest.mark.parametrize(
        ("typed", "host"),
        [
            ("http://localhost:8080/v1", "localhost:8080"),
            ("https://api.example.org", "api.example.org"),
            ("http://[::1]:80/v1", "[::1]:80"),
        ],
    )
    def test_people_see_the_host_and_its_port(self, typed: str, host: str) -> None:
        assert address_of(typed).host == host

    @pytest.mark.parametrize(
        "typed",
        [
            "", "localhost", "localhost:8080", "ftp://h/v1", "file:///etc/passwd", "http://",
            "http:///v1", "http://h:port", "http://h:99999", "http://[::1", "http://h\x00/v1",
            "http://1.2.3.400/", "http://1.2/", "http://[fe80::1%25eth0]/", "http://a..b/",
            "http://h/" + "x" * 3000, "http://müller.example", "http://h\\x/v1",
            "http://h\n.example/", "http://\x1b[31m/", "http://h h/", "http://" + "ä" * 300,
        ],
    )  # fmt: skip
    def test_what_is_no_address_is_refused(self, typed: str) -> None:
        with pytest.raises(EvaluateError) as caught:
            address_of(typed)
        assert "is no address of an endpoint" in caught.value.message
        assert "http://localhost:8080/v1" in caught.value.hint
        assert caught.value.message.isprintable()

    @given(
        st.builds(
            "{}{}{}".format,
            st.sampled_from(["http://", "https://", "HTTP://"]),
            st.text("aB1.:[]-_%") | st.ip_addresses(v=4).map(str),
            st.text("/aB.:@%\\é~"),
        )
    )
    def test_whatever_is_taken_goes_to_the_host_that_is_told(self, typed: str) -> None:
        try:
            address = address_of(typed)
        except EvaluateError:
            return
        sent = httpx.URL(address.url)
        told = httpx.URL(f"http://{address.host}")
        assert sent.host == told.host
        assert sent.path.endswith("/chat/completions")

    def test_a_password_in_an_address_is_refused_and_not_repeated(self) -> None:
        with pytest.raises(EvaluateError) as caught:
            EndpointJudge(EndpointSettings(url="https://me:secret@h/v1", model="m"))
        assert "secret" not in str(caught.value)
        assert JUDGE.key in caught.value.hint

    @pytest.mark.parametrize("typed", ["https://h/v1?key=secret", "https://h/v1#secret"])
    def test_what_stands_behind_the_path_is_refused_and_not_repeated(self, typed: str) -> None:
        with pytest.raises(EvaluateError) as caught:
            address_of(typed)
        assert "secret" not in str(caught.value)
        assert "Leave out" in caught.value.hint


class TestKeys:
    @pytest.mark.parametrize(
        ("value", "key"), [(None, None), ("", None), (" \n", None), (" sk-1 \n", "sk-1")]
    )
    def test_it_is_a_word_of_the_environment(
        self, value: str | None, key: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if value is not None:
            monkeypatch.setenv(JUDGE.key, value)
        assert key_of_environment() == key

    @pytest.mark.parametrize("value", ["sk-1\nX-Other: 1", "two words", "schlüssel", "a\x1bb"])
    def test_what_can_be_none_is_refused_and_not_repeated(
        self, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(JUDGE.key, value)
        with pytest.raises(EvaluateError, match="can't be a key") as caught:
            key_of_environment()
        assert value not in str(caught.value)

    @pytest.mark.parametrize(
        ("url", "key", "warned"),
        [
            ("http://gpu.example:8000", "k", True),
            ("http://10.0.0.7:8000", "k", True),
            ("http://localhost.example", "k", True),
            ("http://gpu.example:8000", None, False),
            ("https://gpu.example", "k", False),
            ("http://localhost:8080", "k", False),
            ("http://judge.localhost:8080", "k", False),
            ("http://127.0.0.5:8080", "k", False),
            ("http://[::1]:8080", "k", False),
        ],
    )
    def test_one_that_anybody_could_read_on_its_way_is_warned_of(
        self, url: str, key: str | None, warned: bool
    ) -> None:
        sentence = caution(address_of(url), key)
        assert bool(sentence) == warned
        assert "without encryption" in sentence or not warned


class TestEstimates:
    def test_tokens_are_reckoned_and_money_is_what_they_cost(self) -> None:
        asked = questions(10)
        # Of an aspect: 240 / 2 / 4 tokens of a reason and 15 around it; at most 240 + 40.
        size = sum(len(question.prompt.text.encode()) for question in asked)
        read = round(size / 4) + 80
        settings = EndpointSettings(url="http://h", model="m")
        found = estimate(asked, settings, prices=Prices(prompt=2.0, completion=8.0))
        assert found.questions == 10
        assert found.prompt_tokens == read
        assert found.completion_tokens == 450
        assert found.most_completion_tokens == 2800
        assert found.cost == pytest.approx((read * 2 + 450 * 8) / 1e6)
        assert found.most_cost == pytest.approx((read * 2 + 2800 * 8) / 1e6)

    def test_what_is_not_known_is_not_reckoned(self) -> None:
        found = estimate(questions(3, safety=False), EndpointSettings(url="http://h", model="m"))
        assert found.completion_tokens == 3 * 5 * 45
        assert (found.cost, found.most_cost, found.seconds) == (None, None, None)

    @pytest.mark.parametrize(
        ("per_minute", "each", "seconds"),
        [
            (30.0, None, 18.0),  # the first one at once, then nine with 2 s between
            (None, 5.0, 15.0),  # three rounds of four
            (30.0, 5.0, 18.0),
            (600.0, 5.0, 15.0),
        ],
    )
    def test_time_is_that_of_the_rate_or_of_the_replies(
        self, per_minute: float | None, each: float | None, seconds: float
    ) -> None:
        settings = EndpointSettings(url="http://h", model="m", concurrency=4, per_minute=per_minute)
        found = estimate(questions(10), settings, seconds_each=each)
        assert found.seconds == pytest.approx(seconds)

    def test_answers_are_as_long_as_they_may_be(self) -> None:
        settings = EndpointSettings(url="http://h", model="m", per_minute=30.0)
        found = estimate_answers([Prompt("a" * 400), Prompt("é" * 200)], 50, settings)
        assert (found.questions, found.prompt_tokens, found.cost) == (2, 200, None)
        assert found.completion_tokens == found.most_completion_tokens == 100
        assert found.seconds == pytest.approx(2.0)
        assert in_words(found, "h").endswith("reckoned from the texts, not before 2 s.")
        prices = Prices(prompt=10_000.0, completion=50_000.0)
        told = in_words(estimate_answers([Prompt("a" * 4000)], 50, settings, prices=prices), "h")
        assert told == (
            "1 question to h: about 1,000 tokens to read and at most 50 to write, reckoned from "
            "the texts, at these prices at most 12.5."
        )
        assert estimate_answers([], 50, settings).completion_tokens == 0

    def test_answers_that_later_turns_stand_behind_are_read_too(self) -> None:
        settings = EndpointSettings(url="http://h", model="m")
        prompts = [Prompt("a" * 400), Prompt("a" * 480, 1), Prompt("a" * 520, 2)]
        prices = Prices(prompt=1000.0, completion=0.0)
        found = estimate_answers(prompts, 50, settings, prices=prices)
        assert found.prompt_tokens == 100 + (120 + 50) + (130 + 2 * 50)
        assert in_words(found, "h") == (
            "3 questions to h: at most about 500 tokens to read and at most 150 to write, "
            "reckoned from the texts, at these prices at most 0.500."
        )

    @pytest.mark.parametrize(("price", "most"), [(0.0, "0.000"), (1e-9, "0.001"), (12.0, "0.013")])
    def test_what_it_costs_at_most_is_rounded_up(self, price: float, most: str) -> None:
        settings = EndpointSettings(url="http://h", model="m")
        prices = Prices(prompt=price, completion=price)
        found = estimate_answers([Prompt("a" * 4000)], 50, settings, prices=prices)
        assert in_words(found, "h").endswith(f", at these prices at most {most}.")

    def test_nothing_takes_nothing(self) -> None:
        settings = EndpointSettings(url="http://h", model="m", per_minute=10, reply_tokens=20)
        found = estimate([], settings, prices=Prices(prompt=1, completion=1))
        assert (found.prompt_tokens, found.cost, found.seconds) == (0, 0, 0)
        assert estimate(questions(1), settings).completion_tokens == 20
