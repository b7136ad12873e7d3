"""Stories on request, about whatever is asked for, and what is said when they are over."""

from __future__ import annotations

from random import Random

from .grammar import Story, Wanted, tell
from .subjects import hero, subject
from .turns import Dialogue, article, exchange, one, pick, untidy

PLAIN = (
    "tell me a story", "tell me a story.", "can you tell me a story?", "could you tell me a story?",
    "write a story", "write me a story", "a story please", "I want a story", "story",
    "I would like to hear a story", "please tell me a story", "tell a story", "make up a story",
    "tell me a tale", "tell me a fairy tale", "once upon a time", "tell me something",
    "tell me a story for children", "tell me a nice story", "do you know a story?",
    "tell me any story", "give me a story", "I'd like a story", "tell me a bedtime story",
    "let's hear a story", "surprise me with a story", "I am bored, tell me a story",
    "tell us a story", "read me a story", "what stories do you know?", "start a story",
    "entertain me", "I can't sleep, tell me a story", "invent a story", "let me hear a tale",
)  # fmt: skip
SHORT = (
    "tell me a short story", "write a short story", "a short story please", "write a short tale",
    "tell me a very short story", "a quick story please", "short story", "give me a short tale",
    "can you tell me a short story?", "tell me a tiny story", "tell me a little story",
)  # fmt: skip
LONG = (
    "tell me a long story", "write a long story", "a long story please", "tell me a longer story",
    "can you tell me a long story?", "give me a long tale", "tell me a story, a long one",
)  # fmt: skip
UNTOLD: dict[str, tuple[str, ...]] = {"normal": PLAIN, "short": SHORT, "long": LONG}
ABOUT = (
    "tell me a story about {x}", "tell me a story about {x}", "tell me a {size}story about {x}",
    "write a {size}story about {x}", "write a {size}tale about {x}", "a {size}story about {x}",
    "a {size}story about {x} please", "can you tell me a {size}story about {x}?",
    "I want a {size}story about {x}", "write me a {size}story about {x}", "story about {x}",
    "could you write a {size}story about {x}?", "write a {size}tale with {x}",
    "tell me a {size}story with {x}", "tell me a {size}tale of {x}", "make up a story about {x}",
    "do you know a story about {x}?", "I would like to hear a story about {x}",
    "give me a {size}story about {x}", "tell me about {x} in a story", "a fairy tale about {x}",
    "tell me a bedtime story about {x}", "now a story about {x}", "a story with {x} in it please",
    "write a {size}story in which {x} is the hero", "tell a {size}story about {x}",
    "please write a {size}story with {x}", "a tale about {x}", "tell me the story of {x}",
    "invent a {size}story about {x}", "my child wants a story about {x}",
)  # fmt: skip


def request(rng: Random) -> tuple[str, Wanted]:
    """What somebody types and what they want by it."""
    size = one(rng, "", "", "", "short ", "short ", "long ")
    wanted = Wanted(length={"short ": "short", "long ": "long"}.get(size, "normal"))
    if rng.random() < 0.22:
        wanted.length = one(rng, "normal", "normal", "normal", "short", "long")
        return untidy(rng, pick(rng, UNTOLD[wanted.length])), wanted
    form = pick(rng, ABOUT)
    if "{size}" not in form:
        wanted.length = "normal"
    about = subject(rng, wanted)
    text = form.replace("{size}", size).replace("{x}", about)
    return untidy(rng, text), wanted


def told(rng: Random) -> tuple[Dialogue, Story]:
    """A request and its story."""
    question, wanted = request(rng)
    story = tell(rng, wanted)
    lead = "" if rng.random() < 0.93 else one(rng, "Of course! ", "With pleasure. ") + "\n\n"
    return exchange(question, lead.replace(" \n", "\n") + story.text), story


def story(rng: Random) -> Dialogue:
    """One story."""
    return told(rng)[0]


AGAIN = (
    "another one", "one more", "tell me another one", "another story please", "again", "more",
    "one more story please", "can you tell me another story?", "and another one?", "next story",
    "tell me another", "another", "a different one please", "I want another story",
)  # fmt: skip
CHANGE = (
    "now one about {x}", "now about {x}", "and one about {x}?", "make it about {x}",
    "the same with {x}", "can you tell one about {x}?", "another one, with {x}",
    "now tell me one about {x}", "another story about {x} please", "what about {x}?",
)  # fmt: skip
LIKED = (
    "I liked it", "nice story", "that was lovely", "great story!", "beautiful", "that was nice",
    "what a nice story", "I love it", "good story", "wow", "well done", "cool", "very nice",
    "thank you, that was nice", "thanks for the story", "lovely", "haha nice", "good one",
)  # fmt: skip
DISLIKED = (
    "I didn't like it", "that was boring", "that makes no sense", "bad story", "boring",
    "I don't like this story", "that was a strange story", "meh", "not good",
)  # fmt: skip


def about_story(rng: Random, story: Story) -> Dialogue:
    """A question about the story just told, which its text answers."""
    facts = story.facts
    who, kind, friend, fkind = facts["name"], facts["kind"], facts["friend"], facts["fkind"]
    pairs = (
        (f"what was the {kind} called?", f"The {kind} was called {who}."),
        (f"what was the {kind}'s name?", f"The {kind}'s name was {who}."),
        (f"what is the name of the {kind}?", f"The {kind}'s name is {who}."),
        ("what was the hero's name?", f"The hero's name was {who}, {article(kind)}."),
        (f"who helped {who}?", f"{friend}, {article(fkind)}, helped {who}."),
        (f"who helped the {kind}?", f"{friend}, {article(fkind)}, helped the {kind}."),
        (f"where did {who} go?", f"{who} went to {facts['place']}."),
        (f"where did the {kind} go?", f"The {kind} went to {facts['place']}."),
        (f"who is {friend}?", f"{friend} is {article(fkind)} who helped {who}."),
        (f"who was {friend}?", f"{friend} was {article(fkind)} who helped {who}."),
        (f"who is {who}?", f"{who} is the {kind} of the story."),
        (f"what kind of animal was {friend}?", f"{friend} was {article(fkind)}."),
        (f"what was {friend}?", f"{friend} was {article(fkind)}."),
        ("what is the moral of the story?", facts["moral"]),
        ("what's the moral?", facts["moral"]),
        ("what can I learn from it?", facts["moral"]),
        (
            "what happened next?",
            f"That is where the story ends. {who} and {friend} stayed friends.",
        ),
        ("and then?", f"That is where the story ends. {who} and {friend} stayed friends."),
        ("continue", f"That was the end. But {who} and {friend} had many more adventures."),
        (
            "what was it about?",
            f"It was about {article(kind)} named {who} and {friend}, {article(fkind)}.",
        ),
        ("who was in the story?", f"{who}, {article(kind)}, and {friend}, {article(fkind)}."),
    )  # fmt: skip
    question, answer = pick(rng, pairs)
    return exchange(untidy(rng, question), answer)


def after_story(rng: Random, story: Story) -> tuple[Dialogue, Story]:
    """What people say when a story is over, with the story that is then the last one told."""
    chance = rng.random()
    if chance < 0.45:
        return about_story(rng, story), story
    if chance < 0.60:
        question, wanted = pick(rng, AGAIN), Wanted(length=one(rng, "normal", "short"))
        story = tell(rng, wanted)
        return exchange(untidy(rng, question), story.text), story
    if chance < 0.78:
        wanted = Wanted(hero=hero(rng), length=one(rng, "normal", "short"))
        question = pick(rng, CHANGE).replace("{x}", article(wanted.hero or ""))
        story = tell(rng, wanted)
        return exchange(untidy(rng, question), story.text), story
    if chance < 0.93:
        answer = one(
            rng,
            "I am glad you liked it! Would you like another one?",
            "Thank you! I know many more. Just ask for another one.",
        )
        return exchange(untidy(rng, pick(rng, LIKED)), answer), story
    answer = (
        "I am sorry. I am only a tiny model. Shall I try another one? "
        "Tell me what it should be about."
    )
    return exchange(untidy(rng, pick(rng, DISLIKED)), answer), story


def story_talk(rng: Random) -> Dialogue:
    """A story and one or two things said about it."""
    dialogue, last = told(rng)
    for _ in range(one(rng, 1, 1, 2)):
        more, last = after_story(rng, last)
        dialogue += more
    return dialogue
