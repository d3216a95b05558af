"""What a server does not tell of Consents is said by each verb that asks for them."""

from __future__ import annotations

from pathlib import Path

from fhir_equity.pipeline.demo_people import MEMBER_SYSTEM
from tests.cli.conftest import Run
from tests.sync.scene import HIE, PARTNER, ada, opened, theirs

REFUSED = b"The server did not let Consents be searched"


def test_each_verb_tells_that_consents_were_refused_until_a_probe_finds_none(run: Run, tmp_path: Path) -> None:
    with opened(tmp_path) as scene:
        scene.put(theirs("Asian"))
        scene.survey(ada())
        words = f'partner = "{PARTNER}"\n[store]\nurl = "equity.db"\n[hie.{HIE}]\nurl = "{scene.url}"\n'
        words += f'recipient = "demo-hie"\nmode = "editor"\nidentifier_systems = ["{MEMBER_SYSTEM}"]\n'
        (tmp_path / "equity.toml").write_text(words)
        for verb in ("plan", "apply", "pull"):
            done = run("sync", verb, "--hie", HIE)
            assert (done.returncode, done.stderr.count(REFUSED)) == (0, 1)
        assert run("sync", "probe", "--hie", HIE).returncode == 0
        assert REFUSED not in run("sync", "pull", "--hie", HIE).stderr
