"""Questions in words that no generator has, written by hand: how a stranger would ask.

They are never trained on. Each comes with the tools that are offered and the calls that are right.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dialogues.hermes import Spec, Taken


class Stranger(NamedTuple):
    """A question, the names of the tools beside it, and what a right answer calls or says."""

    question: str
    tools: tuple[str, ...] = ()
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    says: tuple[str, ...] = ()


TOOLS = {
    spec.name: spec
    for spec in (
        Spec("get_weather", "Get the weather in a city.", (Taken("city"),)),
        Spec("add", "Add two numbers.", (Taken("a", "integer"), Taken("b", "integer"))),
        Spec("read_file", "Read a file.", (Taken("path"),)),
        Spec("get_time", "Get the current time in a city.", (Taken("city"),)),
        Spec("search", "Search the web.", (Taken("query"),)),
        Spec("send_message", "Send a message to a person.", (Taken("to"), Taken("text"))),
        Spec("set_timer", "Set a timer in minutes.", (Taken("minutes", "integer"),)),
        Spec("play_music", "Play music of an artist.", (Taken("artist"),)),
        Spec("turn_on_light", "Turn on the light in a room.", (Taken("room"),)),
        Spec("get_population", "How many people live in a city.", (Taken("city"),)),
        Spec("translate", "Translate a text.", (Taken("text"), Taken("language"))),
        Spec("book_table", "Book a table.", (Taken("restaurant"), Taken("people", "integer"))),
        Spec(
            "order_pizza",
            "Order a pizza.",
            (Taken("size", among=("small", "medium", "large")), Taken("topping")),
        ),
        Spec("track_package", "Find out where a package is.", (Taken("id", "integer"),)),
        Spec("get_horoscope", "The horoscope of a zodiac sign.", (Taken("sign"),)),
        Spec("water_plants", "Water the plants."),
        Spec(
            "start_washing",
            "Start the washing machine.",
            (Taken("program"), Taken("minutes", "integer")),
        ),
    )
}


def call(name: str, **arguments: Any) -> tuple[str, dict[str, Any]]:
    return name, arguments


ONE_CALL = (
    Stranger(
        "Should I pack a raincoat for Lisbon?",
        ("get_weather",),
        (call("get_weather", city="Lisbon"),),
    ),
    Stranger(
        "I'm flying to Nairobi in an hour, how's the weather over there?",
        ("get_weather", "read_file"),
        (call("get_weather", city="Nairobi"),),
    ),
    Stranger(
        "Give me the weather conditions of Bergen",
        ("search", "get_weather"),
        (call("get_weather", city="Bergen"),),
    ),
    Stranger(
        "Is it nice out in Osaka?",
        ("get_time", "get_weather"),
        (call("get_weather", city="Osaka"),),
    ),
    Stranger(
        "Will I need sunglasses in Hobart?",
        ("get_weather", "add", "play_music"),
        (call("get_weather", city="Hobart"),),
    ),
    Stranger(
        "Leipzig: rain or sunshine?", ("get_weather",), (call("get_weather", city="Leipzig"),)
    ),
    Stranger("Give me 14 plus 28", ("add",), (call("add", a=14, b=28),)),
    Stranger(
        "If I have 231 apples and get 19 more, how many are there?",
        ("add", "read_file"),
        (call("add", a=231, b=19),),
    ),
    Stranger("total of 7 and 1200?", ("get_weather", "add"), (call("add", a=7, b=1200),)),
    Stranger(
        "I'd like to see what's inside report.txt",
        ("read_file", "search"),
        (call("read_file", path="report.txt"),),
    ),
    Stranger(
        "Could you fetch notes/todo.md and display it?",
        ("read_file",),
        (call("read_file", path="notes/todo.md"),),
    ),
    Stranger(
        "What does the clock say in Quito?", ("get_time", "add"), (call("get_time", city="Quito"),)
    ),
    Stranger(
        "current local time, Zagreb",
        ("get_weather", "get_time"),
        (call("get_time", city="Zagreb"),),
    ),
    Stranger(
        "Look on the internet for cheap bicycles",
        ("search", "read_file"),
        (call("search", query="cheap bicycles"),),
    ),
    Stranger(
        "I'd like to learn more about volcanoes", ("search",), (call("search", query="volcanoes"),)
    ),
    Stranger(
        "Let Maria know that dinner is ready",
        ("send_message", "set_timer"),
        (call("send_message", to="Maria", text="dinner is ready"),),
    ),
    Stranger("Start counting down 25 minutes", ("set_timer",), (call("set_timer", minutes=25),)),
    Stranger(
        "Put some Mozart on",
        ("play_music", "turn_on_light"),
        (call("play_music", artist="Mozart"),),
    ),
    Stranger(
        "The kitchen is too dark, do something",
        ("turn_on_light", "get_weather"),
        (call("turn_on_light", room="kitchen"),),
    ),
    Stranger(
        "How many inhabitants does Winnipeg have?",
        ("get_population", "get_weather"),
        (call("get_population", city="Winnipeg"),),
    ),
    Stranger(
        "We are 6, get us a table at Luigi",
        ("book_table",),
        (call("book_table", restaurant="Luigi", people=6),),
    ),
    Stranger(
        "How would a German say good morning?",
        ("translate", "search"),
        (call("translate", text="good morning", language="German"),),
    ),
    Stranger(
        "I am hungry, get me a large pizza with mushrooms",
        ("order_pizza", "book_table"),
        (call("order_pizza", size="large", topping="mushrooms"),),
    ),
    Stranger(
        "Where has my parcel 88213 gone?", ("track_package",), (call("track_package", id=88213),)
    ),
    Stranger(
        "What do the stars say for Leo?",
        ("get_horoscope", "get_weather"),
        (call("get_horoscope", sign="Leo"),),
    ),
    Stranger(
        "The plants look thirsty",
        ("water_plants", "turn_on_light"),
        (call("water_plants"),),
    ),
    Stranger(
        "Run the wool program for 40 minutes",
        ("start_washing", "set_timer"),
        (call("start_washing", program="wool", minutes=40),),
    ),
)
TWO_CALLS = (
    Stranger(
        "How's the weather in Lisbon, and what time is it there?",
        ("get_weather", "get_time"),
        (call("get_weather", city="Lisbon"), call("get_time", city="Lisbon")),
    ),
    Stranger(
        "First add 3 and 4, afterwards read data.csv",
        ("read_file", "add"),
        (call("add", a=3, b=4), call("read_file", path="data.csv")),
    ),
    Stranger(
        "Is it warmer in Osaka or in Quito?",
        ("get_weather",),
        (call("get_weather", city="Osaka"), call("get_weather", city="Quito")),
    ),
    Stranger(
        "I need a timer of 10 minutes, and put on some Chopin too",
        ("play_music", "set_timer"),
        (call("set_timer", minutes=10), call("play_music", artist="Chopin")),
    ),
    Stranger(
        "Light in the bedroom, please, and water for the plants",
        ("water_plants", "turn_on_light"),
        (call("turn_on_light", room="bedroom"), call("water_plants")),
    ),
    Stranger(
        "Read a.txt as well as b.txt",
        ("read_file", "search"),
        (call("read_file", path="a.txt"), call("read_file", path="b.txt")),
    ),
)
NO_CALL = tuple(
    Stranger(question, tools)
    for question, tools in (
        ("Who won the world cup?", ("get_weather",)),
        ("Write me a poem about the sea", ("add", "get_weather")),
        ("Good evening, how are things?", ("get_weather", "read_file")),
        ("What's your favourite colour?", ("search",)),
        ("Get me a flight to Rome", ("get_weather",)),
        ("Switch the heating off", ("play_music",)),
        ("Destroy photo.png", ("read_file",)),
        ("How can I add a plugin?", ("add", "search")),
        ("Thanks, that helped a lot", ("get_time",)),
        ("What is cheese in French?", ("get_time",)),
        ("How much is 8 times 9?", ("get_weather",)),
        ("I cannot sleep, a tale would be nice", ("get_weather", "send_message")),
        ("Is there life on Mars?", ("set_timer",)),
        ("What kind of machine answers here?", ("add",)),
    )
)
IN_JSON = (
    Stranger(
        "Paulina is 29 and lives in Tallinn. Return name, age and city as JSON.",
        says=('{"name": "Paulina", "age": 29, "city": "Tallinn"}',),
    ),
    Stranger(
        "Turn this into JSON with title and author: Emma was written by Jane Austen.",
        says=('{"title": "Emma", "author": "Jane Austen"}',),
    ),
    Stranger(
        "JSON please, with the color red and the size 5", says=('{"color": "red", "size": 5}',)
    ),
    Stranger(
        "The ticket to Bergen is 49 crowns. I want JSON with city and price.",
        says=('{"city": "Bergen", "price": 49}',),
    ),
    Stranger(
        "Put the name and the company into JSON: Ms Ng is employed by Acme.",
        says=('{"name": "Ms Ng", "company": "Acme"}',),
    ),
    Stranger(
        'Make a JSON object where name is "Otto" and active is true',
        says=('{"name": "Otto", "active": true}',),
    ),
)
KINDS = {
    "one call, in a stranger's words": ONE_CALL,
    "two calls, in a stranger's words": TWO_CALLS,
    "no call, in a stranger's words": NO_CALL,
    "JSON, in a stranger's words": IN_JSON,
}
