"""From a data file to examples: every row is accepted, or rejected with its place and reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.errors import DataError
from rung.core.hashing import hash_json
from rung.core.names import near
from rung.core.task import Example, OutputKind
from rung.data.encoding import Encoding
from rung.data.labels import means_nothing, nearest_label, split_labels
from rung.data.rejects import BadRow, Reject, Row, TooManyRejects, count_rejects
from rung.data.table import DataFile
from rung.text.strict_json import RefusedJson, read_json, write_json
