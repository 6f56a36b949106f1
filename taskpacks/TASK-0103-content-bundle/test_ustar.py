"""The archive is read back by the standard library's reader, which shares no code with the
writer.
"""

from __future__ import annotations

import io
import tarfile
import unittest

from ustar import archive

FILES = {
    "b/two.bin": bytes(range(256)) * 5,
    "a.txt": b"",
    "a/" + "x" * 120 + "/" + "y" * 90: b"long",
    "c": b"z" * 512,
}


class Archive(unittest.TestCase):
    """Bytes in, bytes out."""

    def test_reads_back_whole(self) -> None:
        with tarfile.open(fileobj=io.BytesIO(archive(FILES)), mode="r:") as opened:
            members = opened.getmembers()
            read = {one.name: (opened.extractfile(one) or io.BytesIO()).read() for one in members}
        self.assertEqual(read, FILES)
        self.assertEqual([one.name for one in members], sorted(FILES))
        self.assertEqual(
            {(one.mode, one.uid, one.gid, one.mtime, one.uname, one.gname) for one in members},
            {(0o644, 0, 0, 0, "", "")},
        )

    def test_order_does_not_matter(self) -> None:
        self.assertEqual(archive(FILES), archive(dict(reversed(FILES.items()))))

    def test_ends_with_whole_records(self) -> None:
        self.assertEqual(len(archive(FILES)) % 10240, 0)
        self.assertEqual(archive({}), bytes(10240))

    def test_names_that_leave_or_do_not_fit_are_refused(self) -> None:
        for name in (
            "",
            "/a",
            "../a",
            "a/../b",
            "a//b",
            "a/.",
            "ä",
            "a\nb",
            "x" * 101,
            "/".join(["y" * 99] * 3),
        ):
            with self.subTest(name=name), self.assertRaises(ValueError):
                archive({name: b""})


if __name__ == "__main__":
    unittest.main()
