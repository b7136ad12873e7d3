"""The tool callers and reasoning splitters; `tramontane inspect` shows which a template has."""

from collections.abc import Iterable

from tramontane.plugin import ToolCaller, hookimpl

HERE = "tramontane_plugin_tools"
REASONING = {
    "think": ("<think>", "</think>"),
    "think-v11": ("[THINK]", "[/THINK]"),
    "think-gemma4": ("<|channel>thought", "<channel|>"),
    "think-granite": ("Here is my thought process:", "Here is my response:"),
    "think-kimi": ("◁think▷", "◁/think▷"),
}


@hookimpl
def tool_callers() -> Iterable[ToolCaller]:
    """Syntaxes of calls by their families, the last resort, then forms of reasoning."""
    yield ToolCaller(
        name="hermes",
        aliases=("qwen",),
        markers=("<tool_call>",),
        opening="<tool_call>",
        closing="</tool_call>",
        scan=f"{HERE}.json_wrapped:hermes",
        grammar=f"{HERE}.json_wrapped:hermes_grammar",
        example=(
            '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
        ),
    )
    yield ToolCaller(
        name="qwen3-coder",
        aliases=("nemotron3",),
        markers=("<tool_call>", "<function="),
        opening="<tool_call>",
        closing="</tool_call>",
        scan=f"{HERE}.function_markup:scan",
        grammar=f"{HERE}.members_grammar:qwen3_coder",
        example=(
            "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n"
            "</function>\n</tool_call>"
        ),
    )
    yield ToolCaller(
        name="llama3-json",
        markers=('{"name": function name, "parameters":',),
        opening="",
        closing="",
        scan=f"{HERE}.json_wrapped:llama",
        grammar=f"{HERE}.json_wrapped:llama_grammar",
        example='<|python_tag|>{"name": "get_weather", "parameters": {"city": "Oslo"}}',
    )
    yield ToolCaller(
        name="pythonic",
        aliases=("llama4",),
        markers=("[func_name1(params_name1=params_value1",),
        opening="",
        closing="",
        scan=f"{HERE}.pythonic:scan",
        grammar=f"{HERE}.members_grammar:pythonic",
        example='[get_weather(city="Oslo")]',
    )
    yield ToolCaller(
        name="mistral",
        markers=("[TOOL_CALLS]",),
        opening="[TOOL_CALLS]",
        closing="",
        scan=f"{HERE}.mistral:scan",
        grammar=f"{HERE}.json_wrapped:mistral_grammar",
        example='[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Oslo"}}]',
    )
    yield ToolCaller(
        name="mistral-v11",
        markers=("[TOOL_CALLS]", "[ARGS]"),
        opening="[TOOL_CALLS]",
        closing="",
        scan=f"{HERE}.mistral:scan",
        grammar=f"{HERE}.mistral:named_grammar",
        example='[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}',
    )
    yield ToolCaller(
        name="deepseek-v3",
        markers=("<｜tool▁calls▁begin｜>", "```json"),
        opening="<｜tool▁calls▁begin｜>",
        closing="<｜tool▁calls▁end｜>",
        scan=f"{HERE}.deepseek:scan",
        grammar=f"{HERE}.deepseek:v3_grammar",
        example=(
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>"
            'get_weather\n```json\n{"city": "Oslo"}\n```<｜tool▁call▁end｜>'
            "<｜tool▁calls▁end｜>"
        ),
    )
    yield ToolCaller(
        name="deepseek-v3.1",
        markers=("<｜tool▁calls▁begin｜>",),
        opening="<｜tool▁calls▁begin｜>",
        closing="<｜tool▁calls▁end｜>",
        scan=f"{HERE}.deepseek:scan",
        grammar=f"{HERE}.deepseek:v31_grammar",
        example=(
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>"
            '{"city": "Oslo"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>'
        ),
    )
    yield ToolCaller(
        name="deepseek-v3.2",
        markers=("｜DSML｜", "function_calls"),
        opening="<｜DSML｜function_calls>",
        closing="</｜DSML｜function_calls>",
        scan=f"{HERE}.invoke_markup:deepseek_v32",
        grammar=f"{HERE}.members_grammar:deepseek_v32",
        example=(
            '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n'
            '<｜DSML｜parameter name="city" string="true">Oslo</｜DSML｜parameter>\n'
            "</｜DSML｜invoke>\n</｜DSML｜function_calls>"
        ),
    )
    yield ToolCaller(
        name="deepseek-v4",
        markers=("｜DSML｜", "tool_calls"),
        opening="<｜DSML｜tool_calls>",
        closing="</｜DSML｜tool_calls>",
        scan=f"{HERE}.invoke_markup:deepseek_v4",
        grammar=f"{HERE}.members_grammar:deepseek_v4",
        example=(
            '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="get_weather">\n'
            '<｜DSML｜parameter name="city" string="true">Oslo</｜DSML｜parameter>\n'
            "</｜DSML｜invoke>\n</｜DSML｜tool_calls>"
        ),
    )
    yield ToolCaller(
        name="harmony",
        aliases=("gpt-oss",),
        markers=("<|channel|>", "<|message|>"),
        opening="<|channel|>commentary to=functions.",
        closing="<|call|>",
        reads=("calls", "reasoning"),
        scan=f"{HERE}.harmony:scan",
        grammar=f"{HERE}.harmony:grammar",
        answer="<|channel|>final<|message|>",
        example=(
            "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
            '{"city": "Oslo"}<|call|>'
        ),
    )
    yield ToolCaller(
        name="gemma4",
        markers=("<|tool_call>",),
        opening="<|tool_call>",
        closing="<tool_call|>",
        scan=f"{HERE}.gemma:scan",
        grammar=f"{HERE}.members_grammar:gemma",
        example='<|tool_call>call:get_weather{city:<|"|>Oslo<|"|>}<tool_call|>',
    )
    yield ToolCaller(
        name="glm",
        aliases=("glm4.7",),
        markers=("<tool_call>", "<arg_key>"),
        opening="<tool_call>",
        closing="</tool_call>",
        scan=f"{HERE}.glm:scan",
        grammar=f"{HERE}.members_grammar:glm",
        example=(
            "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n"
            "</tool_call>"
        ),
    )
    yield ToolCaller(
        name="kimi-k2",
        markers=("<|tool_calls_section_begin|>",),
        opening="<|tool_calls_section_begin|>",
        closing="<|tool_calls_section_end|>",
        scan=f"{HERE}.kimi:scan",
        grammar=f"{HERE}.kimi:grammar",
        example=(
            "<|tool_calls_section_begin|><|tool_call_begin|>"
            "functions.get_weather:0<|tool_call_argument_begin|>"
            '{"city": "Oslo"}<|tool_call_end|><|tool_calls_section_end|>'
        ),
    )
    yield ToolCaller(
        name="phi4",
        markers=("<|tool|>", "<|/tool|>"),
        opening="functools",
        closing="",
        scan=f"{HERE}.json_wrapped:phi",
        grammar=f"{HERE}.json_wrapped:phi_grammar",
        example='functools[{"name": "get_weather", "arguments": {"city": "Oslo"}}]',
    )
    yield ToolCaller(
        name="functools",
        markers=("functools[",),
        opening="functools",
        closing="",
        scan=f"{HERE}.json_wrapped:phi",
        grammar=f"{HERE}.json_wrapped:phi_grammar",
        example='functools[{"name": "get_weather", "arguments": {"city": "Oslo"}}]',
    )
    yield ToolCaller(
        name="granite",
        markers=("<|tool_call|>",),
        opening="<|tool_call|>",
        closing="",
        scan=f"{HERE}.json_wrapped:granite",
        grammar=f"{HERE}.json_wrapped:granite_grammar",
        example='<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Oslo"}}]',
    )
    yield ToolCaller(
        name="jamba",
        aliases=("hunyuan",),
        markers=("<tool_calls>",),
        opening="<tool_calls>",
        closing="</tool_calls>",
        scan=f"{HERE}.json_wrapped:jamba",
        grammar=f"{HERE}.json_wrapped:jamba_grammar",
        example=(
            '<tool_calls>[{"name": "get_weather", "arguments": {"city": "Oslo"}}]</tool_calls>'
        ),
    )
    yield ToolCaller(
        name="liquid",
        markers=("<|tool_list_start|>",),
        opening="<|tool_call_start|>",
        closing="<|tool_call_end|>",
        scan=f"{HERE}.pythonic:liquid",
        grammar=f"{HERE}.members_grammar:liquid",
        example='<|tool_call_start|>[get_weather(city="Oslo")]<|tool_call_end|>',
    )
    yield ToolCaller(
        name="minimax-m2",
        markers=("minimax:tool_call",),
        opening="<minimax:tool_call>",
        closing="</minimax:tool_call>",
        scan=f"{HERE}.invoke_markup:minimax",
        grammar=f"{HERE}.members_grammar:minimax",
        example=(
            '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">'
            "Oslo</parameter>\n</invoke>\n</minimax:tool_call>"
        ),
    )
    yield ToolCaller(
        name="nemotron",
        markers=("<TOOLCALL>",),
        opening="<TOOLCALL>",
        closing="</TOOLCALL>",
        scan=f"{HERE}.json_wrapped:nemotron",
        grammar=f"{HERE}.json_wrapped:nemotron_grammar",
        example='<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Oslo"}}]</TOOLCALL>',
    )
    yield ToolCaller(
        name="json",
        markers=(),
        opening="",
        closing="",
        scan=f"{HERE}.bare_json:scan",
        grammar=f"{HERE}.json_wrapped:bare_grammar",
        example='{"name": "get_weather", "arguments": {"city": "Oslo"}}',
    )
    for name, (opening, closing) in REASONING.items():
        yield ToolCaller(
            name=name, markers=(opening,), opening=opening, closing=closing, reads=("reasoning",)
        )
