"""The strict reader of metrics refuses what it is there to refuse."""

import unittest

from exposition import Wrong, parse

GOOD = """\
# HELP calls_total Calls.
# TYPE calls_total counter
calls_total{service="a",method="Check"} 1
calls_total{service="b",method="Check"} 2
# HELP depth Now.
# TYPE depth gauge
depth 1.5e-05
# HELP took_seconds Time.
# TYPE took_seconds histogram
took_seconds_bucket{method="}\\"",le="0.5"} 1
took_seconds_bucket{method="}\\"",le="+Inf"} 3
took_seconds_sum{method="}\\""} 2.5
took_seconds_count{method="}\\""} 3
"""

# What becomes of which line, and what is said about it.
BAD = [
    ('service="b"', 'service="a"', "comes twice"),
    ('service="b",method="Check"', 'method="Check",service="a"', "comes twice"),
    ('service="b",method', 'service="b",service', "a label comes twice"),
    ('service="b",', 'service="b" ', "no comma"),
    ('="Check"} 2', '="Check",} 2', "no comma"),
    ('="Check"} 2', '="Ch\\eck"} 2', "no label"),
    ("} 2\n", "} 2 \n", "no value"),
    ("} 2\n", "} two\n", "no value"),
    ("} 2\n", "} 2\n\n", "no name"),
    ("} 2\n", "} -2\n", "is -2"),
    ("# TYPE depth gauge\n", "", "before its HELP and TYPE"),
    ("# HELP depth Now.\n", "", "TYPE not right behind"),
    ("# TYPE depth gauge\n", "# TYPE depth gauge\n" * 2, "TYPE twice"),
    ("depth", "calls_total", "HELP twice"),
    ("gauge\ndepth", "gauge\ncalls_total", "another family"),
    ("calls_total", "calls", "_total"),
    ("depth", "depth_total", "_total"),
    ("depth", "depth_count", "histogram's part"),
    ('le="0.5"} 1', 'le="0.5"} 4', "do not grow"),
    ('le="+Inf"} 3', 'le="+Inf"} 4', "not the count"),
    ('le="+Inf"', 'le="1"', "not the count"),
    (',le="0.5"', "", "without a bound"),
    ('took_seconds_sum{method="}\\""} 2.5\n', "", "no sum"),
    ('took_seconds_sum{method="}\\""}', "took_seconds_sum", "different series"),
    ('method="}\\""} 3\n', 'method="}\\""} 3', "does not end"),
]


class ExpositionTest(unittest.TestCase):
    def test_what_is_right_is_read(self):
        families = parse(GOOD)
        self.assertEqual(sorted(families), ["calls_total", "depth", "took_seconds"])
        self.assertEqual(families["depth"].series, {("depth", ()): 1.5e-05})

    def test_what_is_wrong_is_told(self):
        for old, new, why in BAD:
            with self.subTest(old=old, new=new):
                self.assertIn(old, GOOD)
                with self.assertRaisesRegex(Wrong, why.replace("+", "\\+")):
                    parse(GOOD.replace(old, new))


if __name__ == "__main__":
    unittest.main()
