"""Independent switches of a web page: each chooses one of a few, whatever the others choose."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Switch:
    """A row of choices, of which one is made.

    Attributes:
        name: what is chosen; also the name of its inputs in the page.
        choices: what stands on each, by the value that the page's script reads.
        chosen: to begin with.
    """

    name: str
    choices: Mapping[str, str]
    chosen: str

    def html(self) -> str:
        """Radio buttons, which the keyboard reaches; hidden where there is nothing to choose."""
        buttons = "".join(
            f'<label><input type="radio" name="{escape(self.name)}" value="{escape(value)}"'
            f"{' checked' if value == self.chosen else ''}><span>{escape(label)}</span></label>"
            for value, label in self.choices.items()
        )
        hidden = " hidden" if len(self.choices) < 2 else ""
        return f"<fieldset{hidden}><legend>{escape(self.name)}</legend>{buttons}</fieldset>"


STYLE = """fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; align-items: center; }
fieldset[hidden] { display: none; }
legend { float: left; padding: 0 0.5em 0 0; }
fieldset label { cursor: pointer; }
fieldset input { position: absolute; opacity: 0; pointer-events: none; }
fieldset span, button {
  display: inline-block; border: 1px solid #8C8C8C; padding: 0.25em 0.7em; font: inherit; background: #FFF;
  color: #000; margin-left: -1px;
}
fieldset label:first-of-type span { border-radius: 4px 0 0 4px; }
fieldset label:last-of-type span { border-radius: 0 4px 4px 0; }
fieldset input:checked + span { background: #0072B2; border-color: #0072B2; color: #FFF; }
fieldset input:disabled + span { color: #767676; background: #F0F0F0; cursor: not-allowed; }
fieldset input:focus-visible + span, button:focus-visible, [tabindex]:focus-visible {
  outline: 2px solid #D55E00; outline-offset: 1px;
}
button { border-radius: 4px; cursor: pointer; margin: 0; }
.switches { display: flex; flex-wrap: wrap; gap: 0.5em 1.4em; align-items: center; font-size: 0.85em; }"""
"""How the switches look: segments of a row, the chosen one filled."""
