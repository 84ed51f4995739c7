"""Image references: the grammar and the defaults of ``docker run`` (SPEC 1)."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enclave.errors import InvalidImageReference
from enclave.image import ImageReference

HEX = "0123456789abcdef" * 4
SHA256 = f"sha256:{HEX}"
SHA384 = "sha384:" + "ab" * 48
SHA512 = "sha512:" + "0f" * 64
HUB = "docker.io"


# The names come from normalize_test.go and reference_test.go of distribution/reference too.
@pytest.mark.parametrize(
    ("text", "parts", "familiar"),
    [
        ("nginx", (HUB, "library/nginx", "latest", None), "nginx:latest"),
        ("nginx:1.27", (HUB, "library/nginx", "1.27", None), "nginx:1.27"),
        ("library/nginx:1", (HUB, "library/nginx", "1", None), "nginx:1"),
        ("docker.io/nginx:1", (HUB, "library/nginx", "1", None), "nginx:1"),
        ("docker.io/library/nginx", (HUB, "library/nginx", "latest", None), "nginx:latest"),
        ("index.docker.io/nginx", (HUB, "library/nginx", "latest", None), "nginx:latest"),
        ("index.docker.io/acme/app", (HUB, "acme/app", "latest", None), "acme/app:latest"),
        ("acme/app:2", (HUB, "acme/app", "2", None), "acme/app:2"),
        ("acme/team/app:2", (HUB, "acme/team/app", "2", None), "acme/team/app:2"),
        ("library/a/b:1", (HUB, "library/a/b", "1", None), "library/a/b:1"),
        ("library:1", (HUB, "library/library", "1", None), "library:1"),
        ("other/library:1", (HUB, "other/library", "1", None), "other/library:1"),
        ("a", (HUB, "library/a", "latest", None), "a:latest"),
        ("0:0", (HUB, "library/0", "0", None), "0:0"),
        ("test_com/foo:1", (HUB, "test_com/foo", "1", None), "test_com/foo:1"),
        ("dock__er/a---b:1", (HUB, "dock__er/a---b", "1", None), "dock__er/a---b:1"),
        ("a.b_c__d-e--f:1", (HUB, "library/a.b_c__d-e--f", "1", None), "a.b_c__d-e--f:1"),
        ("ubuntu-12.04-base", (HUB, "library/ubuntu-12.04-base", "latest", None), None),
        ("localhost", (HUB, "library/localhost", "latest", None), "localhost:latest"),
        ("localhost:5000", (HUB, "library/localhost", "5000", None), "localhost:5000"),
        ("example.com", (HUB, "library/example.com", "latest", None), "example.com:latest"),
        ("192.168.0.1:80", (HUB, "library/192.168.0.1", "80", None), "192.168.0.1:80"),
        ("localhost/app", ("localhost", "app", "latest", None), "localhost/app:latest"),
        ("localhost:5000/app:1", ("localhost:5000", "app", "1", None), "localhost:5000/app:1"),
        ("host:5000/app", ("host:5000", "app", "latest", None), "host:5000/app:latest"),
        ("nginx:1/2", ("nginx:1", "2", "latest", None), "nginx:1/2:latest"),
        ("quay.io/acme/app:1", ("quay.io", "acme/app", "1", None), "quay.io/acme/app:1"),
        ("quay.io/library/app:1", ("quay.io", "library/app", "1", None), "quay.io/library/app:1"),
        ("127.0.0.1:5000/app:1", ("127.0.0.1:5000", "app", "1", None), "127.0.0.1:5000/app:1"),
        ("[::1]:5000/app:1", ("[::1]:5000", "app", "1", None), "[::1]:5000/app:1"),
        ("[fc00:1:2:3:4:5:6:7]/app:1", ("[fc00:1:2:3:4:5:6:7]", "app", "1", None), None),
        ("[2001:DB8::1]/a/b:1", ("[2001:DB8::1]", "a/b", "1", None), "[2001:DB8::1]/a/b:1"),
        ("xn--n3h.com:18080/foo:1", ("xn--n3h.com:18080", "foo", "1", None), None),
        ("Foo/bar:1", ("Foo", "bar", "1", None), "Foo/bar:1"),
        ("DOCKER/docker:1", ("DOCKER", "docker", "1", None), "DOCKER/docker:1"),
        ("Docker.io/app:1", ("Docker.io", "app", "1", None), "Docker.io/app:1"),
        ("app:UPPER_case.1-x", (HUB, "library/app", "UPPER_case.1-x", None), "app:UPPER_case.1-x"),
        ("app:_", (HUB, "library/app", "_", None), "app:_"),
        (f"app:{'a' * 128}", (HUB, "library/app", "a" * 128, None), f"app:{'a' * 128}"),
        (f"app@{SHA256}", (HUB, "library/app", None, SHA256), f"app@{SHA256}"),
        (f"app:1@{SHA256}", (HUB, "library/app", "1", SHA256), f"app:1@{SHA256}"),
        (f"quay.io/app@{SHA384}", ("quay.io", "app", None, SHA384), f"quay.io/app@{SHA384}"),
        (f"h:1/app:1@{SHA512}", ("h:1", "app", "1", SHA512), f"h:1/app:1@{SHA512}"),
        # An identifier of 64 digits is a name only where something shows that it is one.
        (f"{HEX}:1", (HUB, f"library/{HEX}", "1", None), f"{HEX}:1"),
        (f"docker.io/{HEX}", (HUB, f"library/{HEX}", "latest", None), f"{HEX}:latest"),
        (f"{HEX}@{SHA256}", (HUB, f"library/{HEX}", None, SHA256), f"{HEX}@{SHA256}"),
        (HEX[:-1], (HUB, f"library/{HEX[:-1]}", "latest", None), f"{HEX[:-1]}:latest"),
        (f"{HEX}0", (HUB, f"library/{HEX}0", "latest", None), f"{HEX}0:latest"),
        # What Docker shows for these means another image, or none: the long form stays.
        (
            "docker.io/example.com/app:1",
            (HUB, "example.com/app", "1", None),
            "docker.io/example.com/app:1",
        ),
        (
            "docker.io/docker.io/app:1",
            (HUB, "docker.io/app", "1", None),
            "docker.io/docker.io/app:1",
        ),
        (
            "docker.io/localhost/app:1",
            (HUB, "localhost/app", "1", None),
            "docker.io/localhost/app:1",
        ),
        (f"library/{SHA256}", (HUB, "library/sha256", HEX, None), f"docker.io/library/{SHA256}"),
        ("a" * 237, (HUB, "library/" + "a" * 237, "latest", None), None),
        ("h.io/" + "a" * 250, ("h.io", "a" * 250, "latest", None), None),
    ],
)
def test_valid(
    text: str, parts: tuple[str, str, str | None, str | None], familiar: str | None
) -> None:
    domain, path, tag, digest = parts
    reference = ImageReference.parse(text)
    assert reference == ImageReference(domain, path, tag, digest)
    assert reference.repository == f"{domain}/{path}"
    assert str(reference) == (
        f"{domain}/{path}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    )
    if familiar is not None:
        assert reference.familiar == familiar
    assert ImageReference.parse(str(reference)) == reference
    assert ImageReference.parse(reference.familiar) == reference


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" ", "white space"),
        (" nginx", "character 1"),
        ("nginx ", "character 6"),
        ("nginx\n", r"'\n'"),
        ("nginx latest", "white space"),
        ("docker run nginx", "white space"),
        ("nginx\0", "control character"),
        ("ngi\u00a0nx", "white space"),
        ("ngi\u200bnx", r"'ngi\u200bnx'"),
        ("https://registry.example.com/app:1", "leave out https://"),
        ("http://localhost:5000/app", "leave out http://"),
        ("docker://nginx", "not a URL"),
        ("HTTPS://registry.example.com/app", "not a URL"),
        ("Nginx", "lower case: write 'nginx'"),
        ("acme/App", "lower case: write 'app'"),
        ("NGINX:1", "lower case"),
        ("docker.io/Acme/app", "lower case: write 'acme'"),
        ("localhost:5000/App", "lower case"),
        ("-nginx", "'-nginx'"),
        ("nginx-", "'nginx-'"),
        (".nginx", "cannot be part of a repository name"),
        ("nginx.", "cannot be part"),
        ("a..b", "'a..b'"),
        ("a___b", "one or two '_'"),
        ("a_.b/c", "'a_.b'"),
        ("a.-b", "'a.-b'"),
        ("____/____", "'____'"),
        ("café", "'café'"),
        ("ngin\u0661", "cannot be part"),
        ("${IMAGE}", "'${IMAGE}'"),
        ("'nginx'", "cannot be part"),
        ("a\\b", "cannot be part"),
        ("/", "slash"),
        ("/nginx", "slash"),
        ("acme/", "slash"),
        ("acme//app", "slash"),
        ("docker.io/", "no repository name"),
        ("docker.io/library/", "no repository name"),
        ("localhost:5000/", "no repository name"),
        ("localhost/:1", "no repository name"),
        (":", "no repository name"),
        (":1", "no repository name"),
        (f"@{SHA256}", "no repository name"),
        ("-docker.io/app", "'-docker.io' is not a registry host"),
        ("docker-.io/app", "registry host"),
        ("a..io/app", "registry host"),
        ("Foo_Bar/app", "'Foo_Bar' is not a registry host"),
        ("host:/app", "registry host"),
        ("host:port/app", "'host:port'"),
        ("host:\u0661/app", "registry host"),
        ("fc00::1:5000/app", "square brackets"),
        ("[fe80::1%eth0]:5000/app", "registry host"),
        ("[2001:db8::192.0.2.33]:5000/app", "registry host"),
        ("[::1/app", "registry host"),
        ("[::1]", "no repository name|cannot be part"),
        ("nginx:", "No tag follows"),
        (f"nginx:@{SHA256}", "No tag follows"),
        ("nginx:.1", "'.1' is not a tag"),
        ("nginx:-1", "'-1' is not a tag"),
        ("nginx:1:2", "'1:2' is not a tag"),
        ("nginx:1+2", "'1+2' is not a tag"),
        ("nginx:é", "not a tag"),
        ("nginx:" + "a" * 129, "1 to 128"),
        ("nginx@", "must be a digest"),
        ("nginx@latest", "must be a digest"),
        ("nginx@sha256:", "64 lower-case"),
        (f"nginx@{SHA256[:-1]}", "64 lower-case"),
        (f"nginx@{SHA256}0", "64 lower-case"),
        (f"nginx@{SHA256.upper()}", "lower-case"),
        (f"nginx@sha256:{HEX.upper()}", "lower-case"),
        (f"nginx@sha384:{HEX}", "sha384: and 96"),
        (f"nginx@sha512:{HEX}", "sha512: and 128"),
        (f"nginx@md5:{HEX[:32]}", "must be a digest"),
        (f"nginx@{HEX}", "must be a digest"),
        (f"nginx@{SHA256}:1", "must be a digest"),
        (f"nginx@{SHA256}@{SHA256}", "must be a digest"),
        (HEX, "image ID"),
        (SHA256, "image ID"),
        (SHA384, "image ID"),
        (SHA512, "image ID"),
        ("a" * 238, "255"),
        ("h.io/" + "a" * 251, "255"),
        ("a/" * 200 + "b", "255"),
        ("a." * 100_000, "255"),
        ("user:secret@host.io/app", "--private-registry-password"),
    ],
)
def test_invalid(text: str, says: str) -> None:
    with pytest.raises(InvalidImageReference) as caught:
        ImageReference.parse(text)
    message = str(caught.value)
    assert any(words in message for words in says.split("|"))
    assert message.isprintable()
    assert message.endswith(".")
    assert len(message) < 400


@pytest.mark.parametrize(
    "text",
    [
        "user:hunter2@registry.example.com/app:1",
        "user:hunter2@registry.example.com",
        "user:hunter2!@registry.example.com",
        "user:hunter2/x@registry.example.com/app",
        "user:hunter2/x@registry.example.com",
        "user:@hunter2@registry.example.com",
        "https://user:hunter2@registry.example.com/app",
        "user:hunter2 @registry.example.com/app",
    ],
)
def test_a_password_in_front_of_an_at_is_not_quoted(text: str) -> None:
    with pytest.raises(InvalidImageReference) as caught:
        ImageReference.parse(text)
    assert "hunter2" not in str(caught.value)


def test_pinned_has_the_digest_alone() -> None:
    pinned = ImageReference.parse("quay.io/acme/app:1").pinned(SHA256)
    assert pinned == ImageReference("quay.io", "acme/app", None, SHA256)
    assert str(pinned) == f"quay.io/acme/app@{SHA256}"
    assert pinned.pinned(SHA512).digest == SHA512


@pytest.mark.parametrize("digest", ["", "latest", HEX, SHA256.upper(), f"{SHA256}\n", "sha256:0"])
def test_pinned_refuses_what_is_no_digest(digest: str) -> None:
    with pytest.raises(InvalidImageReference, match="must be a digest"):
        ImageReference.parse("nginx").pinned(digest)


@pytest.mark.parametrize(
    ("domain", "path", "tag"),
    [
        ("docker.io", "nginx", "1"),
        ("index.docker.io", "library/nginx", "1"),
        ("acme", "app", "1"),
        ("", "library/nginx", "1"),
        ("docker.io", "", "1"),
        ("docker.io", "library/nginx:1", None),
        ("docker.io", "library/nginx", None),
    ],
)
def test_only_what_parsing_gives_can_be_made(domain: str, path: str, tag: str | None) -> None:
    with pytest.raises(InvalidImageReference):
        ImageReference(domain, path, tag)


def test_equal_references_are_one_key() -> None:
    assert len({ImageReference.parse(text) for text in ("nginx", "docker.io/nginx:latest")}) == 1


WORD = st.text("ab0", min_size=1, max_size=4)
COMPONENT = st.builds(
    "".join,
    st.lists(st.tuples(WORD, st.sampled_from([".", "_", "__", "-", "--"])).map("".join), max_size=2)
    .flatmap(lambda start: WORD.map(lambda end: [*start, end])),
)  # fmt: skip
SPECIAL = st.sampled_from(["library", "localhost", "docker.io", "sha256", "a.io", HEX])
PATH = st.lists(COMPONENT | SPECIAL, min_size=1, max_size=3).map("/".join)
HOST = st.sampled_from(
    ["docker.io", "index.docker.io", "localhost", "a.io", "A", "a-b.C", "10.0.0.1", "[::1]", "[A]"]
)
PORT = st.sampled_from(["", ":0", ":5000", ":99999"])
TAG = st.sampled_from(["", ":latest", ":_", ":5000", ":A-b.c", f":{HEX}"])
DIGEST = st.sampled_from(["", f"@{SHA256}", f"@{SHA384}", f"@{SHA512}"])
# Without a domain, the first of several components must not look like one.
LOCAL_PATH = PATH.filter(lambda path: "." not in path.partition("/")[0] or "/" not in path)
NAME = LOCAL_PATH | st.builds("{}{}/{}".format, HOST, PORT, PATH)
REFERENCE = st.builds("{}{}{}".format, NAME, TAG, DIGEST)


@settings(max_examples=300)
@given(REFERENCE)
@example(f"docker.io/library/{HEX}")
@example("docker.io/index.docker.io/app")
def test_what_the_grammar_makes_is_parsed_and_printed_back(text: str) -> None:
    try:
        reference = ImageReference.parse(text)
    except InvalidImageReference as error:
        assert text in (HEX, SHA256, f"sha256:{HEX}"), str(error)
        return
    assert ImageReference.parse(str(reference)) == reference
    assert ImageReference.parse(reference.familiar) == reference
    assert reference.pinned(SHA256).repository == reference.repository
    assert text.endswith(f"@{reference.digest}" if reference.digest else f":{reference.tag}") or (
        reference.tag == "latest"
    )


@settings(max_examples=300)
@given(
    st.text(max_size=40)
    | st.text("aA0.:-_/@[]% \n", max_size=20)
    | st.tuples(REFERENCE, st.text("aA0.:-_/@é\n", min_size=1, max_size=2), REFERENCE).map("".join)
)
@example("[::]" + "/a" * 130)
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        reference = ImageReference.parse(text)
    except InvalidImageReference as error:
        assert str(error).isprintable()
        return
    assert ImageReference.parse(str(reference)) == reference
    assert ImageReference.parse(reference.familiar) == reference
    assert reference.familiar in str(reference)


@pytest.mark.parametrize("wrong", ["\n", " ", "\0", "é", "!", "@"])
def test_one_wrong_character_is_refused_wherever_it_stands(wrong: str) -> None:
    text = f"quay.io/acme/app:1.27@{SHA256}"
    for at in range(len(text) + 1):
        with pytest.raises(InvalidImageReference):
            ImageReference.parse(text[:at] + wrong + text[at:])
