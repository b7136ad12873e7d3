"""What may stand in a hero's way, what the hero says of it and how a helper helps."""

from __future__ import annotations

from typing import NamedTuple


class Hurdle(NamedTuple):
    """One thing in the way, in alternatives for each of its three parts."""

    trouble: tuple[str, ...]
    plea: tuple[str, ...]
    help: tuple[str, ...]


HURDLES = (
    Hurdle(
        ("Soon {name} came to a river. It was wide and fast, and there was no bridge.",
         "But a deep river ran across the road, and {name} could not get over it."),
        ("I cannot cross the river", "The water is too deep for me"),
        ("{Friend} showed {him} a row of flat stones, and they hopped across one by one.",
         "{Friend} had a little boat hidden in the reeds, and they rowed across together.",
         "Together they pushed a log over the water and walked across."),
    ),
    Hurdle(
        ("The road led into a forest, and it grew darker and darker. {Name} stopped.",
         "It became dark, and {name} could not see the path any more."),
        ("I am afraid of the dark", "It is too dark, I cannot see the way"),
        ("{Friend} lit a lantern, and in its warm light the shadows were only trees.",
         "{Friend} called the fireflies, and they lit up the path like little lamps.",
         '"Take my hand," said {friend}, and they sang a song until the moon came out.'),
    ),
    Hurdle(
        ("On the way {name} came to a high wall with a gate, and the gate was locked.",
         "But a great iron gate stood across the road, and it would not open."),
        ("The gate is locked, and I have no key", "I cannot get through the gate"),
        ("{Friend} knew where the key was: under the third stone on the left. Click, went the "
         "gate.",
         "{Friend} showed {him} a small hole in the wall, and they crept through it.",
         "{Friend} knocked three times and said please, and the gate opened by itself."),
    ),
    Hurdle(
        ("After a while a thick fog came down, and {name} could not see anything.",
         "Then the fog came, white as milk, and {name} was lost."),
        ("I have lost my way in the fog", "I cannot see where I am going"),
        ("{Friend} rang a small bell, and {name} followed the sound, step by step.",
         "{Friend} knew every stone on the road and led {him} safely out of the fog.",
         "They waited together and told each other stories until the fog was gone."),
    ),
    Hurdle(
        ("Suddenly the sky turned black, and it began to rain and thunder.",
         "Halfway there a storm began. The wind pulled at the trees, and {name} got very wet."),
        ("I am cold and wet", "I do not know where to go in this storm"),
        ("{Friend} took {him} into a dry cave, and they ate bread and cheese until the storm was "
         "over.",
         "{Friend} had a big umbrella, and there was room for two under it.",
         '"Come in!" said {friend}. There was a fire and hot soup, and soon the sun came out '
          'again.'),
    ),
    Hurdle(
        ("Then {name} came to a crossroads. One road went left, one went right, and there was no "
         "sign.",
         "But the road split into three, and {name} did not know which one to take."),
        ("I do not know which way to go", "I think I am lost"),
        ("{Friend} drew a map in the sand. After that it was easy.",
         '"Follow me," said {friend}. "I know a short way." And so it was.',
         "{Friend} looked at the sun, thought for a moment and pointed to the right road."),
    ),
    Hurdle(
        ("The path went up and up, and soon it was too steep for {name}.",
         "But there was a hill so steep that {name} slid down again and again."),
        ("The hill is too steep", "I cannot climb any higher"),
        ("{Friend} had a rope and pulled {him} up, little by little.",
         '"One step, and then one more," said {friend}. They climbed together, and suddenly they '
          'were at the top.',
         "{Friend} knew a path that went slowly around the hill, and nobody slid on that one."),
    ),
    Hurdle(
        ("Then {name} stepped into deep mud and was stuck. {He} pulled and pulled, but it was no "
         "use.",
         "Splash! {Name} fell into a hole full of mud and could not get out."),
        ("I am stuck in the mud", "I cannot get out of here"),
        ("{Friend} held out a long branch. One, two, three, plop! {Name} was free.",
         "{Friend} called some friends, and they all pulled together until {name} was free."),
    ),
    Hurdle(
        ("On a bridge stood a grumpy troll. \"{riddle}\" he asked. \"Only those who know the "
         "answer may cross.\"",
         "An old goblin sat in the middle of the road. \"Answer my riddle,\" he said. "
         "\"{riddle}\""),
        ("I do not know the answer", "I am not good at riddles"),
        ("{Friend} whispered something into {name}'s ear. \"{answer}!\" said {name}, and that was "
         "right.",
         "{Friend} gave {him} a hint, and {name} thought hard. \"It is {answer_low}!\" {he} "
         "cried. And so it was."),
    ),
    Hurdle(
        ("After many hours {name} was so tired and hungry that {he} had to sit down.",
         "The road was long, and {name}'s bag was empty. {His} stomach rumbled."),
        ("I am too hungry to go on", "I am tired and I have nothing to eat"),
        ("{Friend} had bread and honey and shared it with {name}. After that they both felt "
         "strong.",
         "{Friend} shook a tree, and down came the sweetest pears. They ate until they were full."),
    ),
    Hurdle(
        ("Suddenly there was a huge shadow on the road. {Name} hid behind a tree and shook with "
         "fear.",
         "Then {name} saw a big dark shape behind a bush. {He} did not dare to move."),
        ("There is a monster over there", "I am afraid of that shadow"),
        ("{Friend} laughed kindly. \"Look, it is only {harmless}!\" And it was.",
         "They went closer together, very quietly. It was only {harmless}!"),
    ),
    Hurdle(
        ("But in the night it had snowed, and the road was gone under the snow.",
         "Then it began to snow, and the snow was soon up to {name}'s nose."),
        ("The snow is too deep", "I cannot find the road in the snow"),
        ("{Friend} had a sledge, and they slid over the snow, laughing all the way.",
         "{Friend} went in front and made a path, and {name} walked behind in the footprints."),
    ),
    Hurdle(
        ("But the bridge over the stream was broken.",
         "When {name} came to the bridge, half of it had fallen into the water."),
        ("The bridge is broken", "I cannot get to the other side"),
        ("\"Then we will mend it,\" said {friend}. They found some planks and worked until it "
         "held.",
         "{Friend} was good with a hammer. Before noon there was a new bridge."),
    ),
    Hurdle(
        ("A huge rock lay in the middle of the road. {Name} pushed it, but it did not move.",
         "Then a big tree fell across the path, and {name} could not get past."),
        ("It is too heavy for me", "I am not strong enough"),
        ("\"Let us push together,\" said {friend}. They counted to three, and it rolled away.",
         "{Friend} put a strong stick under it. They pressed down, and slowly it moved aside."),
    ),
)  # fmt: skip

RIDDLES = (
    ("What has teeth but cannot bite?", "A comb"), ("What gets wetter the more it dries?",
    "A towel"),
    ("What has hands but cannot clap?", "A clock"), ("What has one eye but cannot see?",
    "A needle"),
    ("What has a neck but no head?", "A bottle"), ("What runs but has no legs?", "A river"),
    ("What goes up but never comes down?", "Your age"), ("What has ears but cannot hear?",
    "A field of corn"),
    ("What flies without wings?", "The wind"), ("What is full of holes but holds water?",
    "A sponge"),
)  # fmt: skip

HARMLESS = (
    "an old tree stump", "a coat on a fence", "a sleeping cow", "a scarecrow with a big hat",
    "a haystack", "a bush in the wind", "a tiny mouse in front of a lamp",
)  # fmt: skip
