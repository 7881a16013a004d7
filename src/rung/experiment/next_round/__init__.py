"""The next round: served traffic becomes examples, a new run beside the old one, and a champion that a person promotes."""
