import pytest

from labkit.stack.links import link


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "http://127.0.0.1:9090/targets"),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}, "/user/ada/proxy/9090/targets"),
        ({"LABKIT_PROXY": "/"}, "/proxy/9090/targets"),
        ({"CODESPACE_NAME": "fluffy-lab"}, "https://fluffy-lab-9090.app.github.dev/targets"),
    ],
    ids=["this machine", "JupyterHub and Binder", "JupyterLab in a container", "Codespaces"],
)
def test_a_link_leads_where_the_learners_browser_finds_the_server(environ: dict[str, str], expected: str) -> None:
    assert link(9090, "/targets", environ) == expected
