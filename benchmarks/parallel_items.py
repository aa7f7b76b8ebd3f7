"""Questions of everyday kind for `benchmarks.parallel`, each with the most tokens of its answer.

Short ones and such with a text to work on alternate, and so do short and long answers: any
number of the first ones is a mixture.
"""

from __future__ import annotations

import msgspec


class Item(msgspec.Struct, frozen=True):
    """A question and the most tokens of its answer."""

    question: str
    limit: int


_LIBRARY = (
    "The town library will be closed from Monday to Thursday while new shelves are put up on the "
    "ground floor. Books that are due in this time may be brought back until Saturday without a "
    "fee. The box beside the entrance stays open day and night, but please do not leave records "
    "or games in it, for they break when heavy books fall on them. The reading room on the second "
    "floor opens again on Friday morning, the children's corner one week later. Whoever has "
    "ordered a book by telephone is told by letter when it can be fetched."
)
_GARDEN = (
    "We planted the beans in May, far too early, and the frost took half of them. In June it was "
    "so dry that my brother carried water from the stream every evening. Then the slugs came. In "
    "the end we had eleven pods, and my mother cooked them all at once, and each of us got a "
    "spoonful. I have never eaten anything better."
)
_MEETING = (
    "Present were Anna, Jonas, Meret and Paul. Jonas reported that the roof of the boat house "
    "leaks above the workshop. A roofer asks 2,400 for a repair and 9,000 for a new roof. Meret "
    "wanted to wait for a second offer; Paul said that the tools will rust until then. It was "
    "decided to have it repaired now and to collect money for a new roof over the winter. Anna "
    "writes to the members until the tenth. The next meeting is on the third of November at "
    "seven, at Paul's."
)
_BICYCLE = (
    "Hello, I have bought the blue bicycle from you three weeks ago. The gears jumped from the "
    "first day, and now the chain has come off twice while I was riding in traffic. Your shop "
    "told me on the telephone that I should bring it in, but when I came on Tuesday the door was "
    "locked although the sign said open. I am quite disappointed. Please tell me when somebody is "
    "there, and whether I can have another bicycle while mine is being repaired."
)
_HONEY = (
    "Honey keeps for years because it holds so little water that nothing can live in it. Bees "
    "fan the nectar with their wings until most of its water is gone, and then close the cell "
    "with wax. If honey gets hard, it is not spoiled: sugar has turned into crystals. Stand the "
    "jar in warm water, and it flows again. Water that is too hot takes away its smell."
)
_BUS = (
    "Bus 14 leaves the station at ten past and at twenty to each hour, the first one at 6:10, "
    "the last at 21:40. It stops at the hospital after eight minutes, at the swimming pool after "
    "fifteen and at the lake after twenty-six. On Sundays only the buses at ten past run, and "
    "none of them goes beyond the swimming pool."
)

ITEMS = (
    Item("What is the capital of Portugal?", 24),
    Item(f"Summarise this notice in two sentences.\n\n{_LIBRARY}", 96),
    Item("Give me five ideas for a rainy afternoon with two children.", 128),
    Item("What is the opposite of generous?", 32),
    Item(f"Which mood does this text have, and why?\n\n{_GARDEN}", 64),
    Item("Write a short letter to a neighbour whose dog barks at night. Be friendly.", 160),
    Item("How many minutes are three and a half hours?", 32),
    Item(f"List the decisions of this meeting, one a line.\n\n{_MEETING}", 80),
    Item("Explain to a child why the sky is blue.", 112),
    Item("Translate into French: The bakery opens at seven.", 40),
    Item(f"Write an answer to this customer.\n\n{_BICYCLE}", 144),
    Item("Name three vegetables that grow under the ground.", 48),
    Item("How do I get candle wax out of a tablecloth?", 104),
    Item(f"What should be done with hard honey?\n\n{_HONEY}", 40),
    Item("Write a poem of eight lines about an old bridge.", 120),
    Item("Is a tomato a fruit?", 56),
    Item(f"It is Sunday. When does the last bus go, and where to?\n\n{_BUS}", 48),
    Item("Plan a day in a small town by the sea, from breakfast to evening.", 160),
    Item("Put these words in order of the alphabet: river, apple, moon, candle, stone.", 40),
    Item("What should I pack for a weekend in the mountains in autumn?", 128),
    Item(f"When can I bring back a book that was due on Wednesday?\n\n{_LIBRARY}", 32),
    Item("Describe how bread is made, step by step.", 152),
    Item("Who is older: a grandmother or her daughter?", 24),
    Item("Give me a title for a story about two cats that open a restaurant.", 32),
    Item(f"Retell this text from the brother's point of view.\n\n{_GARDEN}", 136),
    Item("What is the difference between weather and climate?", 88),
    Item("Write an invitation to a birthday party in a park.", 96),
    Item(f"What does Anna have to do, and until when?\n\n{_MEETING}", 40),
    Item("Which of these is not an animal: otter, maple, heron, newt?", 24),
    Item("How can I fall asleep more easily?", 144),
    Item("Explain what a budget is and how to begin one.", 120),
    Item(f"Is this message polite? Say what could be said more kindly.\n\n{_BICYCLE}", 104),
    Item("What is 17 times 6?", 24),
    Item("Give me a recipe for soup from potatoes and leeks.", 160),
    Item("Make this sentence shorter: In view of the fact that it rains, we stay at home.", 40),
    Item(f"Make three questions for a quiz out of this text.\n\n{_HONEY}", 88),
    Item("Name the months that have 30 days.", 48),
    Item("How does a lock in a canal work?", 112),
    Item(f"I want to be at the lake before nine on a Friday. Which bus?\n\n{_BUS}", 56),
    Item("Write a conversation between a tired baker and an early customer.", 152),
    Item("What do I need to repair a flat tyre of a bicycle?", 72),
    Item("Give a friend reasons for and against buying a car.", 136),
    Item(f"Rewrite this notice for children.\n\n{_LIBRARY}", 120),
    Item("What colour do you get from blue and yellow?", 24),
    Item("Suggest a name and a motto for a small shop that repairs clocks.", 48),
    Item("Explain the rules of a simple game for four people with nothing but paper.", 160),
    Item("Correct the mistakes: Yesterday we goes to the lake and swimmed.", 32),
    Item("Tell me how to say no to an invitation without hurting anybody.", 96),
)
