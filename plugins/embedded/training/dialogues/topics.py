"""What there is to know about Tramontane's commands: phrasings and their answers."""

from __future__ import annotations

from .tool_topics import TOOL_TOPICS
from .topic import Topic

TOPICS = (
    *TOOL_TOPICS,
    Topic(
        ("install a plugin", "install plugins", "add a plugin", "add plugins", "get a plugin",
        "get more plugins",
         "install an extension", "add support for other models", "extend tramontane",
         "install a new plugin",
         "download a plugin", "set up a plugin", "add a new plugin", "install another plugin",
         "install model families", "get plugins"),
        ("how are plugins installed?", "where do plugins come from?", "how does one get plugins?",
         "plugin installation", "installing plugins", "install plugin", "I need a plugin",
         "what is the command for installing a plugin?", "plugins?", "how do plugins work?",
         "what plugins are there?", "what is a plugin?", "which plugins can I install?"),
        ("Plugins are installed with pip, for example:\n\n    pip install tramontane-arch-qwen\n\n"
         "Model families are called tramontane-arch-NAME, file formats tramontane-quant-NAME and "
         "accelerators "
         "tramontane-backend-NAME.",),
    ),
    Topic(
        ("remove a plugin", "uninstall a plugin", "delete a plugin", "get rid of a plugin",
        "uninstall plugins"),
        ("how are plugins removed?", "uninstall plugin"),
        ("Plugins are removed with pip, for example:\n\n    pip uninstall tramontane-arch-qwen",),
    ),
    Topic(
        ("update a plugin", "upgrade a plugin", "get the newest version of a plugin",
        "update my plugins"),
        ("update plugin",),
        ("Plugins are updated with pip, for example:\n\n    pip install --upgrade "
         "tramontane-arch-qwen",),
    ),
    Topic(
        ("list plugins", "see the installed plugins", "see which plugins are installed",
        "list my plugins",
         "show the plugins", "list the installed plugins", "see what is installed",
         "find out which plugins I have",
         "check which plugins I have", "see my plugins", "list all plugins"),
        ("which plugins are installed?", "what plugins do I have?", "what is installed?",
        "which plugins do I have?",
         "what plugins are installed?", "what does tramontane plugins do?", "list plugins",
         "tramontane plugins",
         "where can I see my plugins?"),
        ("This lists what is installed:\n\n    tramontane plugins",),
    ),
    Topic(
        ("serve a model", "start a server", "run a server", "serve the model",
        "serve a model over http",
         "start the server", "host a model", "get an openai compatible server", "start an api",
         "serve an api",
         "use it as a server", "run an openai api", "offer a model to other programs",
         "serve models",
         "use the openai api", "serve", "make a server", "launch a server", "run a local server"),
        ("is there a server?", "is there an api?", "what does tramontane serve do?",
        "does tramontane have a server?",
         "is there an openai compatible api?", "how does serving work?", "tramontane serve",
         "serve", "server",
         "can other programs use the model?", "can I use it with the openai client?",
         "is there a rest api?"),
        ("Start an OpenAI-compatible server with:\n\n    tramontane serve -m MODEL\n\n"
         "It listens at http://127.0.0.1:1234/v1. The command comes with a plugin: pip install "
         "tramontane-plugin-server",),
    ),
    Topic(
        ("run a model", "chat with a model", "start a chat", "use another model",
        "run another model",
         "use a bigger model", "run a bigger model", "load a model", "use a different model",
         "change the model",
         "start a model", "use a real model", "talk to a better model", "switch models",
         "choose a model",
         "run a larger model", "use my own model", "open a model", "select a model", "pick a model",
         "get a better model", "run models", "chat with another model", "use a smarter model"),
        ("what does tramontane run do?", "tramontane run", "which command runs a model?",
        "how do I start?",
         "what is -m?", "what does -m mean?", "are there better models?",
         "how do I use tramontane?",
         "how does tramontane work?", "what models can I use?", "which models can I run?",
         "where do I get a bigger model?", "which models are supported?", "getting started",
         "what can -m be?", "how do I get started?", "how do I choose the model?"),
        ("Start a chat with a model of your choice:\n\n    tramontane run -m MODEL\n\n"
         "MODEL is a local folder, a .gguf file or a name on the hub such as org/name.",),
    ),
    Topic(
        ("run a local model", "use a local folder", "run a model from a folder",
        "run a model on my disk",
         "load a model from disk", "use a model that I have downloaded"),
        ("can I run local models?", "does it work with local files?"),
        ("Give the folder or the file:\n\n    tramontane run -m path/to/folder\n    tramontane "
         "run -m model.gguf",),
    ),
    Topic(
        ("run a gguf file", "use a gguf", "open a gguf file", "load a gguf", "run gguf models",
        "run a .gguf file",
         "use gguf files", "chat with a gguf file"),
        ("does it support gguf?", "can I use gguf files?", "what about gguf?",
        "can tramontane read gguf?"),
        ("Give the file to -m:\n\n    tramontane run -m model.gguf\n\nA file on the hub is named "
         "org/name:file.gguf.",),
    ),
    Topic(
        ("run a model from the hub", "use a hugging face model", "download a model",
        "run a huggingface model",
         "get a model from hugging face", "use a model from the hub", "fetch a model",
         "pull a model",
         "load a model from the hub"),
        ("where do models come from?", "can I use hugging face models?", "does it download models?",
         "how are models downloaded?", "where can I find models?"),
        ("Give its name on the hub, and it is downloaded the first time:\n\n    tramontane run -m "
         "org/name\n\n"
         "One file of it is named org/name:file.gguf.",),
    ),
    Topic(
        ("ask one question and exit", "run a single prompt", "use it in a script",
        "give a prompt on the command line",
         "run one prompt", "ask a single question", "get one answer", "send one prompt",
         "run it once",
         "use tramontane without a chat", "pass a prompt"),
        ("what does -i do?", "what is -i?", "one-shot mode?", "is there a one-shot mode?",
        "can I use it in scripts?"),
        ('Give the text with -i:\n\n    tramontane run -i "Tell me a story"\n\nIt prints one '
         'answer and ends.',),
    ),
    Topic(
        ("change the temperature", "set the temperature", "make the answers more random",
        "get more creative answers",
         "make it more creative", "make it less random", "lower the temperature",
         "raise the temperature",
         "turn off randomness", "get the same answer every time", "use greedy decoding"),
        ("what is the temperature?", "what does --temperature do?", "what does /temperature do?",
        "temperature"),
        ("Use --temperature when you start:\n\n    tramontane run --temperature 0.7\n\n"
         "or type /temperature 0.7 inside the chat. 0 always takes the likeliest word.",),
    ),
    Topic(
        ("set the seed", "use a seed", "make the answers repeatable", "get reproducible answers",
        "fix the seed"),
        ("what does --seed do?", "what is the seed?", "what is a seed for?", "what does /seed do?"),
        ("Use --seed when you start:\n\n    tramontane run --seed 42\n\nor type /seed 42 inside "
         "the chat. "
         "The same seed gives the same answers.",),
    ),
    Topic(
        ("set top k", "change top-k", "change top k", "use top-k sampling"),
        ("what does /topk do?", "what is top-k?", "top k"),
        ("Type /topk 40 inside the chat. Then only the 40 likeliest words are considered.",),
    ),
    Topic(
        ("set top p", "change top-p", "change top p", "use top-p sampling"),
        ("what does /topp do?", "what is top-p?", "top p"),
        ("Type /topp 0.9 inside the chat. Then only the likeliest words that make up 90 percent "
         "are considered.",),
    ),
    Topic(
        ("save the chat", "save this conversation", "save the session", "save a session",
        "keep this chat",
         "store the conversation", "save my chat", "save our chat"),
        ("what does /save do?", "what does --save-session do?", "can I save the chat?", "save"),
        ("Type /save FILE inside the chat, or start with:\n\n    tramontane run --save-session "
         "FILE",),
    ),
    Topic(
        ("load a chat", "load a session", "continue an old chat", "continue a saved chat",
        "open a saved session",
         "restore a conversation", "go on with an old chat", "load a saved chat", "resume a chat"),
        ("what does /load do?", "what does --load-session do?", "can I continue a chat later?"),
        ("Type /load FILE inside the chat, or start with:\n\n    tramontane run --load-session "
         "FILE",),
    ),
    Topic(
        ("quit", "exit", "leave the chat", "stop the chat", "end the chat", "close tramontane",
        "leave", "stop it",
         "get out of here", "exit the chat", "quit the chat", "close the chat"),
        ("what does /exit do?", "how do I get out?", "exit?", "quit?"),
        ("Type /exit to leave the chat.",),
    ),
    Topic(
        ("clear the chat", "start over", "forget the conversation", "reset the chat",
        "clear the history",
         "start a new conversation", "begin a new chat", "delete the history",
         "make you forget everything"),
        ("what does /clear do?", "clear", "reset"),
        ("Type /clear to forget the conversation and start again.",),
    ),
    Topic(
        ("set a system message", "change the system prompt", "set the system prompt",
        "give a system message",
         "change your role", "use a system prompt"),
        ("what does /system do?", "what is the system message?", "system prompt",
        "what is a system prompt?"),
        ("Type /system and the text inside the chat, for example:\n\n    /system You are a "
         "friendly storyteller.",),
    ),
    Topic(
        ("see the chat commands", "see the commands in the chat", "get help in the chat",
        "list the slash commands"),
        ("what commands are there inside the chat?", "what are the slash commands?",
        "which slash commands are there?",
         "what does /help do?", "which commands can I use in the chat?", "what can I type here?",
         "what commands can I use here?", "chat commands"),
        ("Inside the chat there are /help, /exit, /system, /clear, /temperature, /topk, /topp, "
         "/seed, /save and /load.",),
    ),
    Topic(
        ("see all commands", "list the commands", "get help", "see the help",
        "see what commands exist"),
        ("what commands are there?", "which commands are there?",
        "what commands does tramontane have?", "commands",
         "what are the commands?", "what commands do you know?", "which commands do you know?",
         "list of commands",
         "tell me the commands", "what can tramontane do?", "show me the commands",
         "help me with the commands",
         "what does tramontane do?"),
        ("The commands are:\n\n    tramontane run\n    tramontane serve\n    tramontane mcp\n    "
         "tramontane plugins\n    tramontane models\n    tramontane doctor\n    tramontane bench\n"
         "    tramontane perplexity\n    tramontane tokenize\n    tramontane inspect\n    "
         "tramontane new\n\n"
         "Ask me about any of them.",),
    ),
    Topic(
        ("check my machine", "check my computer", "check my installation", "find out what is wrong",
         "see if my gpu is found", "check that everything works", "diagnose a problem",
         "test my setup",
         "see which devices are there", "check whether tramontane works", "debug my installation"),
        ("what does tramontane doctor do?", "tramontane doctor", "is my computer fast enough?",
        "it does not work",
         "something is broken", "something is wrong", "I have a problem with tramontane",
         "is my gpu supported?",
         "tramontane is not working", "doctor", "why does it not work?", "my gpu is not found"),
        ("This checks your machine:\n\n    tramontane doctor",),
    ),
    Topic(
        ("measure the speed", "benchmark a model", "test how fast a model is", "run a benchmark",
        "bench a model",
         "see tokens per second", "measure performance", "find out how fast a model runs",
         "time a model",
         "measure the speed of a model"),
        ("how fast is it?", "what does tramontane bench do?", "tramontane bench",
        "is there a benchmark?",
         "how many tokens per second do I get?", "bench", "benchmark"),
        ("Measure a model's speed with:\n\n    tramontane bench -m MODEL",),
    ),
    Topic(
        ("measure perplexity", "compute the perplexity", "compute perplexity",
        "measure the quality of a model",
         "evaluate a model on a text", "get the perplexity of a file",
         "measure the perplexity of a model"),
        ("what does tramontane perplexity do?", "what is perplexity?", "perplexity",
        "how good is a model?"),
        ("Measure how well a model predicts a text with:\n\n    tramontane perplexity -m MODEL -f "
         "FILE",),
    ),
    Topic(
        ("see the tokens of a text", "tokenize a text", "count tokens",
        "see how a text is tokenized", "get token ids",
         "count the tokens of a text", "tokenize text", "split a text into tokens", "show tokens"),
        ("what does tramontane tokenize do?", "tokenize", "how many tokens does a text have?",
        "what is a token?"),
        ("See the tokens of a text with:\n\n    tramontane tokenize -m MODEL TEXT",),
    ),
    Topic(
        ("inspect a model", "look into a model", "see what is in a file",
        "see the details of a model",
         "find out what a model is", "show the tensors", "see the metadata of a model",
         "look inside a gguf file",
         "see how big a model is", "get information about a model", "inspect a gguf file"),
        ("what does tramontane inspect do?", "inspect", "what is in this file?",
        "how can I see a model's metadata?"),
        ("See what a model is made of with:\n\n    tramontane inspect MODEL",),
    ),
    Topic(
        ("use it from python", "use it in python", "use tramontane in python", "call it from python",
        "generate text in python",
         "use the python api", "write a python program with it", "use it as a library",
         "run a model in python",
         "use tramontane from python", "import tramontane", "use you in my program",
         "use it in my code"),
        ("is there a python api?", "python", "python api", "what does the python api look like?",
        "python example",
         "show me a python example", "show me some code", "does it work with python?"),
        ('From Python:\n\n    from tramontane import LLM, SamplingParams\n    llm = '
         'LLM("org/name")\n'
         '    print(llm.chat("Hello").text)',),
    ),
    Topic(
        ("set sampling parameters in python", "use samplingparams",
        "set the temperature in python"),
        ("what is SamplingParams?", "what are sampling params?"),
        ("Give SamplingParams when you generate:\n\n    from tramontane import LLM, "
         "SamplingParams\n"
         '    llm = LLM("org/name")\n    print(llm.chat("Hello", '
          'SamplingParams(temperature=0.7)).text)',),
    ),
    Topic(
        ("make it quiet", "hide the messages", "print only the answer", "run it quietly",
        "turn off the extra output"),
        ("what does --quiet do?", "is there a quiet mode?"),
        ("Use --quiet:\n\n    tramontane run --quiet\n\nThen only the answer is printed.",),
    ),
    Topic(
        ("use my gpu", "run it on the gpu", "use an accelerator", "use a graphics card",
        "make it faster", "add a gpu",
         "add a backend", "install a backend", "run on the graphics card", "speed it up"),
        ("does it run on a gpu?", "which gpus are supported?", "what is a backend?", "gpu?"),
        ("Accelerators are plugins named tramontane-backend-NAME, installed with pip:\n\n"
         "    pip install tramontane-backend-NAME\n\nThis shows what your machine has:\n\n    "
         "tramontane doctor",),
    ),
    Topic(
        ("add a model family", "install a model family", "add an architecture",
        "support a new architecture"),
        ("which architectures are supported?", "what is an architecture plugin?",
        "what model families are there?"),
        ("Model families are plugins named tramontane-arch-NAME, installed with pip:\n\n"
         "    pip install tramontane-arch-qwen\n\nThis lists what you have:\n\n    tramontane "
         "plugins",),
    ),
    Topic(
        ("add a file format", "install a quantization format", "use quantized models",
        "support a new format",
         "run a quantized model"),
        ("which formats are supported?", "what file formats are there?",
        "does it support quantization?",
         "what is quantization?"),
        ("File formats are plugins named tramontane-quant-NAME, installed with pip:\n\n"
         "    pip install tramontane-quant-gguf\n\nThis lists what you have:\n\n    tramontane "
         "plugins",),
    ),
    Topic(
        ("install tramontane", "get tramontane", "set up tramontane", "install it"),
        ("where can I get tramontane?", "installation"),
        ("Tramontane is installed with pip:\n\n    pip install tramontane",),
    ),
    Topic(
        (),
        ("what is tramontane?", "what's tramontane?", "tell me about tramontane",
        "explain tramontane",
         "what is this program?", "what is this?", "what am I talking to?",
         "what is tramontane for?",
         "tramontane", "what kind of program is tramontane?", "describe tramontane"),
        ("Tramontane is a program that runs language models on your own computer. It is made of "
         "plugins, and I am the "
         "tiny model that comes with it.",),
    ),
    Topic(
        (),
        ("why is it called tramontane?", "what does tramontane mean?",
        "where does the name come from?",
         "what does the name tramontane mean?", "why the name?", "what is the tramontane?",
         "is tramontane a wind?",
         "why are you called tramontane?", "where does the name tramontane come from?",
         "why tramontane?"),
        ("The tramontane is a cold, clear wind from the north. It gave this program its name.",),
    ),
)  # fmt: skip
