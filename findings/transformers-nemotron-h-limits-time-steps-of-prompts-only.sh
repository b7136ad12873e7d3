#!/usr/bin/env bash
# transformers 5.23.0: Nemotron-H computes a prompt's last token otherwise than the same token fed by itself.
#
# Guess: with its cache, a token's logits do not depend on how the tokens before it were grouped, but for rounding.
# Seen: what is computed in chunks has time steps of Mamba-2 raised to time_step_min (0.001 in every published
#   configuration; it is how biases were drawn before training), and a single token's steps are not. Where steps are
#   smaller, the logits differ by far more than rounding; with time_step_min at 1e-30 they agree.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0
"$folder/venv/bin/python" - <<'EOF'
import torch
from transformers import NemotronHConfig, NemotronHForCausalLM

seen = {}
for least in (0.1, 1e-30):
    config = NemotronHConfig(
        vocab_size=50, hidden_size=16, hybrid_override_pattern="M*", mamba_num_heads=4, mamba_head_dim=8,
        ssm_state_size=8, n_groups=1, time_step_min=least, num_attention_heads=2, num_key_value_heads=1, head_dim=8,
    )
    torch.manual_seed(0)
    model = NemotronHForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0, 0.3)
            if name.endswith("dt_bias"):
                parameter.fill_(-5.0)  # steps of about 0.007
        tokens = torch.arange(3, 15)[None]
        whole = model(tokens).logits[0, -1]
        before = model(tokens[:, :-1], use_cache=True)
        alone = model(tokens[:, -1:], past_key_values=before.past_key_values, use_cache=True).logits[0, -1]
    seen[least] = float((whole - alone).abs().max() / whole.abs().max())
    print(f"time_step_min {least}: the last token differs by {seen[least]:.1e} of the largest logit")
raise SystemExit(0 if seen[0.1] > 1e-3 and seen[1e-30] < 1e-5 else "not as stated")
EOF
echo "as stated"
