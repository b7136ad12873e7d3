"""What a story's hero may want: each plot says the wish, the setting out and how it comes true."""

from __future__ import annotations

from dataclasses import dataclass

from .words import TREASURES


@dataclass(frozen=True)
class Plot:
    """Sentences by part of the story; `slots` fills the plot's own words, one value each."""

    wish: tuple[str, ...]
    leave: tuple[str, ...]
    success: tuple[str, ...]
    moral: tuple[str, ...]
    slots: dict[str, tuple[str, ...]]


LOST = Plot(
    (
        "{Name} had a {treasure} that {he} loved more than anything. One morning the {treasure} "
        "was gone.",
        "Every day {name} played with {his} {treasure}. But one day the {treasure} was nowhere to "
        "be found.",
        "{Name}'s favourite thing in the world was {his} {treasure}. Then, one windy night, it "
        "disappeared.",
    ),
    (
        "{He} looked under the bed and behind the door, but it was not there. So {he} set out for "
        "{place} to look for it.",
        '"I must have left it at {place}," thought {name}, and off {he} went.',
        '"I will find it," said {name}, and {he} started to walk to {place}.',
    ),
    (
        "There, {spot}, lay the {treasure}, safe and sound.",
        "At {place} something was waiting {spot}. It was the {treasure}!",
        "They searched all over {place}, and at last {name} saw the {treasure} {spot}.",
    ),
    ("Things that are lost can be found with a little help.", "Never give up looking.",
     "A friend is worth more than any {treasure}."),
    {"spot": ("under a bush", "between two stones", "on a mossy step", "in the tall grass",
              "beside an old wall", "on a low branch", "under a bench", "behind a barrel"),
     "treasure": TREASURES},
)  # fmt: skip
SEE = Plot(
    (
        "{Name} had never seen {wonder}. Every evening {he} wondered what it was like.",
        "More than anything, {name} wished to see {wonder}.",
        'One day somebody told {name} about {wonder}. "I want to see that too," said {name}.',
    ),
    (
        "One bright morning {he} packed some bread and walked towards {place}.",
        "{He} had heard that {he} could see it from {place}, so {he} began the long walk.",
        '"They say you can see it from {place}," thought {name}, and {he} set off at once.',
    ),
    (
        "When they came to {place}, there it was: {wonder}. {Name} could not say a word, it was "
        "so beautiful.",
        "And at {place}, at last, {name} saw {wonder}. It was even better than in {his} dreams.",
        'From {place} they could see {wonder}. "Oh!" whispered {name}. "It was worth every step."',
    ),
    ("The world is big, and it is best seen with a friend.",
    "Every long road begins with one step.",
     "Beautiful things are even better when you share them."),
    {"wonder": ("the sea", "the first snow", "a rainbow", "the northern lights", "a shooting star",
                "the sunrise", "a ship with white sails", "the whole valley from above",
                "a thousand fireflies", "the great waterfall")},
)  # fmt: skip
GIFT = Plot(
    (
        "Tomorrow was {relative}'s birthday, and {name} wanted to bring {gift}.",
        "{Name} loved {his} {kin} very much, and {he} wanted to give {relative} {gift}.",
        "One day {name}'s {kin} fell ill. {Name} wanted to cheer {relative} up with {gift}.",
    ),
    (
        "But {gift} could only be found at {place}. So {name} took a basket and went.",
        '"The best ones are at {place}," thought {name}, and {he} set off early.',
        "{He} had to go all the way to {place} to find it, but {name} did not mind.",
    ),
    (
        "At {place} {name} found {gift} and carried it home very carefully. {Relative} was so "
        "happy that she danced.",
        '{Name} found {gift} at {place} and ran all the way home. "What a lovely present!" said '
         '{relative}.',
        "Soon {name} had {gift}, and before the sun went down {relative} had it in her hands. She "
        "gave {name} a big hug.",
    ),
    ("The best presents come from the heart.", "Giving makes the giver happy too.",
     "A small gift can bring a great joy."),
    {"kin": ("grandmother", "mother", "aunt", "sister"),
     "gift": ("a jar of honey", "a bunch of wild flowers", "a basket of berries", "a golden apple",
              "a warm loaf of bread", "a pot of jam", "a white feather", "a bright seashell",
              "a bag of sweet chestnuts", "a cup of magic tea")},
)  # fmt: skip
LEARN = Plot(
    (
        "{Name} wanted to learn to {skill}. {He} tried and tried, but it never went well.",
        "All the others could {skill}, but {name} could not. That made {him} sad.",
        '"I wish I could {skill}," {name} said every night before going to sleep.',
    ),
    (
        "One day {he} heard of a teacher who lived at {place}, and {he} went to find her.",
        '"The old teacher at {place} can help me," thought {name}, and {he} went on {his} way.',
        "So {he} put on {his} hat and walked towards {place}, where a good teacher lived.",
    ),
    (
        "At {place} the teacher showed {name} what to do. Once it went wrong, twice it went "
        "wrong, but the third time {name} could {skill}!",
        'The teacher at {place} smiled. "Slowly," she said. {Name} practised all day, and by the '
         'evening {he} could {skill}.',
        "The teacher was patient, and {name} worked hard. After seven days {he} could {skill} "
        "better than anyone.",
    ),
    ("If you keep trying, you will learn.", "Nobody is good at something the first time.",
     "Learning takes time, and that is all right."),
    {"skill": ("swim", "sing", "dance", "paint", "whistle", "juggle", "bake bread", "skate",
               "read", "play the flute", "tell stories", "fly a kite", "ride a bicycle", "climb")},
)  # fmt: skip
FRIEND = Plot(
    (
        "{Name} had toys and books and a warm bed, but {he} had no friend to play with.",
        "{Name} was often alone, and {he} wished for a friend.",
        "Every day {name} played alone. It was not much fun.",
    ),
    (
        '"Maybe there is a friend for me at {place}," {he} thought, and {he} went to see.',
        "One morning {he} decided to look for a friend, and {he} walked towards {place}.",
        "So {he} put two cakes into a bag, one for {himself} and one for a friend, and went to "
        "{place}.",
    ),
    (
        'When they came to {place}, nobody was there. But {name} laughed. "I was looking for a '
         'friend," {he} said, "and I found you on the way!"',
        'At {place} they sat down and shared the last piece of cake. "Will you be my friend?" '
         'asked {name}. "I already am," said {friend}.',
        "They played at {place} until the sun went down, and {name} was not alone any more.",
    ),
    ("A friend may be closer than you think.", "Whoever is kind is never alone for long.",
     "To find a friend, be a friend."),
    {},
)  # fmt: skip
NOISE = Plot(
    (
        "One night {name} could not sleep. From far away came a strange sound: {sound}.",
        '{Sound}, went something in the dark. "What can that be?" asked {name}.',
        "Every evening {name} heard a strange sound. {Sound}, it went, and nobody knew what it "
        "was.",
    ),
    (
        "It came from {place}. {Name} took a candle and went to find out.",
        '"I am not afraid," said {name}, although {he} was, a little. {He} followed the sound to '
         '{place}.',
        "{He} put on {his} coat and walked towards {place}, where the sound came from.",
    ),
    (
        "At {place} they found out what it was: it was only {cause}! They laughed until their "
        "sides hurt.",
        'They peeped around the corner at {place}. It was {cause}. "So that is all!" said {name}, '
         'and they both laughed.',
        "And what was it? It was nothing but {cause}. {Name} was not afraid any more.",
    ),
    ("What we do not know often seems bigger than it is.",
    "Being brave means going on although you are afraid.",
     "Look closely before you are afraid."),
    {"sound": ("hoo, hoo, hoo", "tap, tap, tap", "whoosh, whoosh", "ding, ding", "crick, crack",
               "boom, boom", "swish, swish"),
     "cause": ("the north wind playing in an old chimney", "a loose shutter",
     "a baby owl who was hungry",
               "an old bell in the wind", "a branch that knocked on a window", "a snoring bear",
               "the wind blowing over an empty bottle")},
)  # fmt: skip
SOUP = Plot(
    (
        "{Name} was cooking {dish} for all the neighbours, but something was missing: {spice}.",
        'One cold day {name} made {dish}. {He} tasted it. "It needs {spice}," {he} said.',
        "{Name} wanted to make the best {dish} in the world, but {he} had no {bare}.",
    ),
    (
        "There was some at {place}, so {he} took a bag and set out.",
        '"I know where to get it," said {name}, and {he} hurried to {place}.',
        "It was a long way to {place}, where it grew, but {name} went all the same.",
    ),
    (
        "At {place} {name} found what was missing. Back at home {he} stirred it in, and soon "
        "there was {dish} for everyone.",
        "They found it at {place}, and that evening {name} and {friend} ate {dish} until they "
        "were full.",
        "{Name} brought it home from {place}. Everybody came with a bowl, and nobody had ever "
        "tasted such good {dish}.",
    ),
    ("Food tastes best when it is shared.", "There is always enough when everybody shares.",
     "A good meal needs good company."),
    {"dish": ("soup", "pumpkin pie", "porridge", "pancakes", "vegetable stew", "apple cake", "jam"),
     "bare": ("salt", "honey", "cinnamon", "thyme", "butter", "pepper", "parsley", "mint")},
)  # fmt: skip
STAR = Plot(
    (
        "One night a small star fell from the sky and landed in front of {name}. It cried, "
        "because it wanted to go home.",
        "On the way home one evening {name} found a little star in the grass. Its light was very "
        "weak.",
        'A tiny star knocked at {name}\'s window. "I have fallen down," it said, "and I am afraid '
         'of the dark down here."',
    ),
    (
        '"Do not worry," said {name}. "From {place} we can reach the sky." And {he} put the star '
         'into {his} pocket.',
        "{Name} wrapped the star in a cloth and carried it to {place}, which was closest to the "
        "sky.",
        '"I will take you to {place}," said {name}, and they left at once.',
    ),
    (
        "At {place} {name} lifted the star up as high as {he} could. It rose and rose, and then "
        "it shone among the others.",
        'At {place} the wind took the star in its arms and carried it up. "Thank you!" it called, '
         'and it shone brighter than ever.',
        "They climbed to the top of {place} and let the star go. It flew home, and it still winks "
        "at {name} every night.",
    ),
    ("Even the smallest light matters.", "Helping others makes your own heart bright.",
     "Be kind to whoever is far from home."),
    {},
)  # fmt: skip
LETTER = Plot(
    (
        "One day {name} found a letter on the road. It was for {person} at {place}.",
        '"This letter must get to {person} at {place} today," said the postman, who had hurt his '
         'foot. "I will take it!" said {name}.',
        "{Name} had written a letter to {person}, who lived all alone at {place}.",
    ),
    (
        "{He} put the letter into {his} bag and went off.",
        "{Name} held the letter tight and started to walk.",
        "It was a long way, but {name} had promised to bring it, and {he} left before breakfast.",
    ),
    (
        '{Person} opened the letter at {place} and began to smile. "Nobody has written to me for '
         'years," {they} said. "Stay and have tea with me!"',
        "At {place} {person} read the letter aloud. It was an invitation to a party, and {name} "
        "and {friend} could come too!",
        'At last {name} gave the letter to {person}. "You have made me very happy," {they} said.',
    ),
    ("Keep your promises.", "A few kind words can travel a long way.",
    "Good news is worth the walk."),
    {"person": ("the old queen", "the lonely giant", "the old lighthouse keeper", "the wise woman",
                "the king", "the old sailor", "the clockmaker")},
)  # fmt: skip
SEED = Plot(
    (
        "{Name} planted a seed and watered it every day, but nothing grew.",
        "In spring {name} put a seed into the ground. {He} waited and waited, but no leaf came "
        "out.",
        "{Name} had a garden with only one plant in it, and that plant was very sad and brown.",
    ),
    (
        '"Bring it water from {place}," said an old gardener. So {name} took a bucket and went.',
        "{He} had heard of good earth at {place}, and {he} set out to bring some home.",
        '"Perhaps they know what to do at {place}," thought {name}, and off {he} went.',
    ),
    (
        "{Name} brought the bucket home from {place} without spilling a drop. The next morning "
        "there was a green leaf, and after a week {bloom}.",
        'At {place} an old gardener gave {name} a little bag and said: "Be patient." {Name} was '
         'patient, and one day {he} woke up and saw {bloom}.',
        "With what {he} had brought from {place}, {name} cared for the plant, day after day. In "
        "summer it became {bloom}.",
    ),
    ("Good things take time.", "Patience makes gardens grow.",
    "Care for small things, and they will grow."),
    {"bloom": ("a sunflower as tall as the house", "a rose that smelled of summer", "an apple tree",
               "a flower with seven colours", "a pumpkin as big as a cart", "a cherry tree")},
)  # fmt: skip
CONTEST = Plot(
    (
        "There was going to be {contest} at {place}, and {name} wanted to take part.",
        "Once a year everybody came to {place} for {contest}. This time {name} wanted to be there "
        "too.",
        '"You are too small for {contest}," the others said. But {name} wanted to try.',
    ),
    (
        "{He} got up before the sun and started on the road to {place}.",
        "{Name} practised for a week. Then {he} went to {place}.",
        "So {he} ate a big breakfast and walked to {place}, singing all the way.",
    ),
    (
        "At {place} {name} did {his} very best. {He} did not win, but everybody clapped, and {he} "
        "had never had so much fun.",
        "And who won {contest}? It was {name}! {Friend} cheered louder than anyone else.",
        'They came to {place} just in time, and {name} won second prize. "Next year I will try '
         'again," {he} said with a smile.',
    ),
    ("It is more important to try than to win.", "Do your best, and be glad.",
     "You are never too small to try."),
    {"contest": ("the great race", "the singing contest", "the kite festival", "the baking contest",
                 "the boat race", "the dancing contest", "the snowman contest")},
)  # fmt: skip
HAT = Plot(
    (
        "One day the tramontane, the cold wind from the north, took {name}'s {worn} and blew it "
        "away.",
        "{Name} had a new {worn}. But the north wind liked it too, and whoosh, it was gone.",
        "Whoosh! The wind came down from the mountains, and {name}'s {worn} flew up into the sky.",
    ),
    (
        "{Name} ran after it, over the fields and towards {place}.",
        '"Give it back!" cried {name}, but the wind only laughed and flew to {place}. So {name} '
         'went there too.',
        "It flew all the way to {place}, and {name} followed.",
    ),
    (
        'At {place} the wind was sitting on a roof. "I only wanted to play," it said. "Nobody '
         'ever plays with me." So they all played until evening, and the wind gave back the '
         '{worn}.',
        'At {place} {name} asked the wind politely. "You said please!" said the wind, and it put '
         'the {worn} softly on {name}\'s head.',
        "There was the {worn}, high up in a tree at {place}. The wind blew one more time, and it "
        "fell down into {name}'s arms.",
    ),
    ("Say please, and even the wind will listen.", "Sometimes those who tease only want to play.",
     "Whoever asks kindly is heard."),
    {"worn": ("hat", "cap", "red scarf", "straw hat", "woolly hat", "bonnet")},
)  # fmt: skip
MAP = Plot(
    (
        "In an old book {name} found a map. A red cross was drawn at {place}.",
        '"There is a treasure at {place}," an old sailor told {name}, "but nobody has ever found '
         'it."',
        "{Name} dreamed of finding a treasure. One day {he} found a map in a bottle, and it "
        "showed {place}.",
    ),
    (
        "{He} took a spade and a sandwich and set out.",
        '"A treasure!" cried {name}, and {he} left that very morning.',
        "{Name} folded the map, put it into {his} pocket and began to walk.",
    ),
    (
        "At {place} they dug and dug. In the old chest there was {riches}. {Name} and {friend} "
        "shared it.",
        'Under a flat stone at {place} stood a box with {riches} in it. "Half of it is yours," '
         'said {name} to {friend}.',
        "At {place} there was no gold, only {riches}. But {name} was happy, for it had been a "
        "great adventure.",
    ),
    ("A treasure is only a treasure when it is shared.",
    "The adventure is the best part of the treasure.",
     "Sharing makes you rich."),
    {"riches": ("a hundred glass marbles", "a box of paints", "a little book full of stories",
                "a music box that still played", "sweet apples from long ago",
                "seeds of every colour",
                "a telescope made of brass", "a golden flute")},
)  # fmt: skip
BABY = Plot(
    (
        "One morning {name} heard somebody crying. It was a {young} that had lost its mother.",
        '"Where is my mother?" cried a {young} in the grass. {Name} felt sorry for it.',
        "When {name} opened the door, a {young} was sitting there, all alone and cold.",
    ),
    (
        '"Do not cry," said {name}. "I will bring you home to {place}." And they went off '
         'together.',
        "The {young} had come from {place}, so {name} took it by the hand and led the way.",
        '"I live at {place}," said the {young}. "Then we will go there," said {name}.',
    ),
    (
        "At {place} the mother was already looking for her {young}. How happy they were! They all "
        "danced in a ring.",
        'When they came to {place}, the {young} gave a cry of joy. "Mother!" it called, and '
         '{name} smiled.',
        "The mother of the {young} stood at {place}. She thanked {name} a hundred times and gave "
        "everybody warm milk.",
    ),
    ("Nobody is too small to help.", "Help those who are smaller than you.",
    "Home is where you are loved."),
    {"young": ("baby bird", "little lamb", "tiny kitten", "little seal", "baby hedgehog",
    "small cloud",
               "little duckling", "baby elephant")},
)  # fmt: skip

PLOTS = (
    LOST, SEE, GIFT, LEARN, FRIEND, NOISE, SOUP, STAR, LETTER, SEED, CONTEST, HAT, MAP, BABY,
)  # fmt: skip
