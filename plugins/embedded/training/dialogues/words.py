"""The nouns and names that stories are filled with."""

from __future__ import annotations

ANIMALS = (
    "fox", "bear", "rabbit", "mouse", "cat", "dog", "owl", "frog", "hedgehog", "squirrel",
    "badger", "beaver", "duck", "goose", "swan", "hen", "rooster", "sparrow", "robin", "crow",
    "raven", "eagle", "hawk", "pigeon", "parrot", "penguin", "seagull", "stork", "heron",
    "woodpecker", "turtle", "tortoise", "snail", "lizard", "snake", "crocodile", "fish", "whale",
    "dolphin", "shark", "octopus", "crab", "lobster", "seal", "otter", "walrus", "lion", "tiger",
    "leopard", "wolf", "elephant", "giraffe", "zebra", "hippo", "rhino", "monkey", "gorilla",
    "koala", "kangaroo", "panda", "camel", "llama", "donkey", "horse", "pony", "cow", "calf",
    "pig", "piglet", "sheep", "lamb", "goat", "deer", "moose", "reindeer", "bee", "ant", "beetle",
    "ladybird", "butterfly", "moth", "spider", "cricket", "grasshopper", "dragonfly", "firefly",
    "caterpillar", "worm", "bat", "mole", "rat", "hamster", "squid", "puppy", "kitten", "cub",
    "chick", "duckling", "bunny", "toad", "salamander", "ferret", "weasel", "chipmunk", "raccoon",
    "skunk", "sloth", "lemur", "ostrich", "peacock", "flamingo", "pelican", "puffin",
)

CREATURES = (
    "dragon", "unicorn", "giant", "troll", "fairy", "elf", "gnome", "goblin", "wizard", "witch",
    "ghost", "monster", "mermaid", "phoenix", "dwarf", "yeti", "robot", "snowman", "scarecrow",
    "alien",
)

PEOPLE = (
    "girl", "boy", "princess", "prince", "king", "queen", "knight", "pirate", "sailor", "farmer",
    "baker", "teacher", "doctor", "painter", "gardener", "fisherman", "shepherd", "blacksmith",
    "tailor", "clown", "magician", "explorer", "astronaut", "detective", "carpenter", "musician",
    "dancer", "miller", "cook", "soldier", "fireman", "postman", "grandmother", "grandfather",
    "child", "baby", "nurse", "pilot", "captain", "inventor", "singer", "student", "beekeeper",
    "clockmaker",
)

THINGS = (
    "kettle", "boat", "train", "car", "bus", "lantern", "teapot", "clock", "cloud", "star",
    "moon", "snowflake", "leaf", "tree", "flower", "mushroom", "pumpkin", "apple", "pebble",
    "candle", "broom", "chair", "umbrella", "kite", "balloon", "drum", "bell", "spoon", "cup",
    "hat", "boot", "button", "pencil", "book", "letter", "piano", "violin", "lighthouse",
    "windmill", "tractor", "rocket", "spaceship", "airplane", "bicycle", "mountain", "river",
    "raindrop", "sunflower", "rose", "carrot", "potato", "pear", "cookie", "cake", "toy", "doll",
    "ball", "sock", "mitten", "scarf", "key", "computer", "lamp", "bridge", "castle", "house",
)

THEMES = (
    "friendship", "love", "courage", "kindness", "magic", "winter", "summer", "spring", "autumn",
    "the sea", "the moon", "the wind", "the north wind", "the forest", "snow", "rain", "space",
    "dreams", "sharing", "music", "honesty", "patience", "hope", "adventure", "bravery", "family",
    "night", "the stars", "the sun", "the rain", "the desert", "the ocean", "school", "food",
    "home",
    "treasure", "a treasure", "a birthday", "a party", "a picnic", "a secret", "a journey",
    "a promise", "Christmas", "happiness", "time", "peace", "the mountains", "the beach",
    "dinosaurs", "animals", "a lost key", "a long winter", "being brave", "going to school",
    "a garden", "a storm", "fear", "a race", "cooking", "a letter", "learning", "a wish",
)  # fmt: skip

GIRLS = (
    "Mia", "Ada", "Luna", "Rosa", "Nora", "Lily", "Ella", "Zoe", "Ivy", "Clara", "Ruby", "Hazel",
    "Olive", "Poppy", "Daisy", "Emma", "Anna", "Lucy", "Alice", "Maya", "Nina", "Tilly", "Molly",
    "Wren", "Iris", "Flora", "Elsa", "Greta", "Ines", "Lena", "Maud", "Pearl", "Sana", "Tara",
    "Willa", "Yara", "Bella", "Dora", "Fern", "Gwen", "Hana", "June", "Kira", "Leila", "Mina",
    "Opal", "Petra", "Rita", "Stella", "Vera", "Amina", "Chloe", "Sofia", "Marta", "Juno",
    "Edith", "Agnes", "Betty",
)

BOYS = (
    "Milo", "Tom", "Leo", "Max", "Finn", "Oscar", "Hugo", "Theo", "Otto", "Felix", "Sam", "Ben",
    "Jack", "Noah", "Luca", "Emil", "Rafi", "Toby", "Gus", "Ned", "Oli", "Pip", "Remy", "Jonas",
    "Kai", "Arlo", "Basil", "Casper", "Dario", "Elmo", "Fritz", "Gil", "Henry", "Ivan", "Jasper",
    "Karl", "Lars", "Moss", "Nico", "Omar", "Paul", "Quin", "Rory", "Silas", "Tariq", "Ugo",
    "Victor", "Walt", "Yusuf", "Zeno", "Anton", "Bruno", "Cosmo", "Dan", "Eddie", "Amos",
    "Barney", "Rufus",
)

TRAITS = (
    "little", "small", "young", "brave", "shy", "curious", "clever", "kind", "quiet", "cheerful",
    "gentle", "lonely", "tiny", "friendly", "merry", "sleepy", "busy", "patient", "proud", "happy",
)

HOMES = (
    "in a cosy house at the edge of the forest", "under an old oak tree", "beside a slow river",
    "in a small village by the sea", "on top of a windy hill", "in a hollow log",
    "in a cottage with a red door", "near a quiet pond", "behind the old mill",
    "in a valley full of flowers", "in a tall tower", "at the end of a long lane",
    "in a warm cave in the mountains", "on a little island", "in a garden behind a stone wall",
    "in a town where it often rained", "under a wooden bridge", "next to the railway",
    "in a tent on the beach", "in a barn that smelled of hay", "on a boat in the harbour",
    "in the middle of a green meadow",
)  # fmt: skip

PLACES = (
    "the lighthouse", "the far hill", "the blue lake", "the old castle", "the windy mountain",
    "the market", "the silver beach", "the deep forest", "the wide meadow", "the hidden valley",
    "the old mill", "the apple orchard", "the quiet harbour", "the crystal cave", "the tall tower",
    "the stone bridge", "the rose garden", "the frozen pond", "the green island", "the waterfall",
    "the old library", "the royal palace", "the snowy peak", "the yellow fields", "the great oak",
)  # fmt: skip

TREASURES = (
    "red ball", "blue scarf", "wooden flute", "silver bell", "golden key", "brass lantern",
    "warm blanket", "striped sock", "green hat", "tin drum", "little music box", "toy boat",
    "paper kite", "shiny button", "picture book", "glass marble", "yellow umbrella", "old map",
    "pocket watch", "copper whistle", "patchwork quilt", "pair of mittens", "wooden spoon",
    "feather pen", "silk ribbon", "straw basket", "blue teacup", "little mirror",
)  # fmt: skip
