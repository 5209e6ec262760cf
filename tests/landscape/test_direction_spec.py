"""The grammar of a configured direction."""

import pytest

from study.landscape.direction_spec import DirectionSpec


@pytest.mark.parametrize(
    ("text", "kind", "rank", "path"),
    [
        ("gaussian", "gaussian", None, None),
        ("difference", "difference", None, None),
        ("gradient", "gradient", None, None),
        ("eigenvector", "eigenvector", 1, None),
        ("eigenvector:1", "eigenvector", 1, None),
        ("eigenvector:12", "eigenvector", 12, None),
        ("eigenvector:-1", "eigenvector", -1, None),
        ("delta.safetensors", "file", None, "delta.safetensors"),
        ("/data/my runs/a:b/δ.safetensors", "file", None, "/data/my runs/a:b/δ.safetensors"),
        ("C:\\delta.safetensors", "file", None, "C:\\delta.safetensors"),
    ],
)
def test_each_form_is_read(text, kind, rank, path):
    spec = DirectionSpec.parse(text)
    assert (spec.kind, spec.rank, spec.path) == (kind, rank, path)
    assert DirectionSpec.parse(str(spec)) == spec


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Gaussian",
        " gaussian",
        "gaussian:1",
        "random",
        "eigenvector:",
        "eigenvector:0",
        "eigenvector:-2",
        "eigenvector:+1",
        "eigenvector: 1",
        "eigenvector:1.5",
        "eigenvector:1_0",
        "eigenvector:٣",
        "eigenvector:1:2",
        "delta.pt",
        ".safetensors",
        "folder/.safetensors",
        "delta.safetensors ",
        "delta.safetensors\n",
    ],
)
def test_anything_else_is_refused_in_one_line_with_the_rule(text):
    with pytest.raises(
        ValueError, match="a direction must be gaussian, difference, gradient, eigen"
    ) as refused:
        DirectionSpec.parse(text)
    assert str(refused.value).endswith(f"got {text!r}")
    assert "\n" not in str(refused.value)
