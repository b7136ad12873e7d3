#!/usr/bin/env bash
# transformers 5.23.0, Dia: greedy generation warns that top_k "may be ignored", and gives other frames for another top_k.
#
# Guess: with do_sample=False top_k changes nothing, as for every other model, and as the warning says.
# Seen: with guidance_scale above 1, top_k is also how many codes guidance keeps: it picks them by the guided logits and
#   gives back the unguided ones. So top_k=1 is greedy by the guided logits, a large one greedy by the logits with the
#   text, and what is between is between. Without guidance (guidance_scale=1) it changes nothing.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0
"$folder/venv/bin/python" - <<'EOF'
import torch
from transformers import DiaConfig, DiaForConditionalGeneration

torch.manual_seed(0)
encoder = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
               num_key_value_heads=4, head_dim=8)
decoder = dict(encoder, cross_num_attention_heads=4, cross_num_key_value_heads=4, cross_head_dim=8, cross_hidden_size=32)
model = DiaForConditionalGeneration(DiaConfig(encoder_config=encoder, decoder_config=decoder)).eval()
with torch.no_grad():
    for each in model.parameters():
        if each.dim() > 1:
            each.normal_(0, each.shape[1] ** -0.5)
start = torch.full((1, 16, 9), 1025)
for channel, delay in enumerate(model.config.delay_pattern):
    start[:, : delay + 1, channel] = 1026


def frames(scale, top_k):
    ids = torch.tensor([[1, *b" Hello there."]])
    return model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), decoder_input_ids=start,
        decoder_attention_mask=torch.ones(1, 16, dtype=torch.long), max_new_tokens=24,
        do_sample=False, guidance_scale=scale, top_k=top_k)


guided = {k: frames(3.0, k) for k in (1, 1000)}
plain = {k: frames(1.0, k) for k in (1, 1000)}
differ = lambda both: int((both[1] != both[1000]).sum())
print(f"codes that differ between top_k 1 and 1000: {differ(guided)} with guidance, {differ(plain)} without")
raise SystemExit(0 if differ(guided) > 20 and differ(plain) == 0 else "not as stated")
EOF
echo "as stated"
