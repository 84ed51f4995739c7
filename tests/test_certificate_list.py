"""Which certificate serves which name, where several could."""

import pytest

from enclave.certificate import Certificate
from enclave.route import Route
from router.certificate_list import certificate_list

DEFAULT = "default-apps.example.com.pem *.apps.example.com apps.example.com\n"


def own(number: int, *names: str) -> Certificate:
    return Certificate(number, 0, names[0], names, "R3", "", "", "", "")


def route(number: int, *hosts: str, certificate: int | None = None) -> Route:
    return Route(number, 1, hosts, (), certificate_id=certificate)


def listed(*given: Certificate | Route) -> str:
    return certificate_list(
        "apps.example.com",
        [each for each in given if isinstance(each, Route)],
        frozenset(range(10)),
        [each for each in given if isinstance(each, Certificate)],
    )


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ((), DEFAULT),
        ((route(1, "a.example.com"),), DEFAULT),
        (
            (route(1, "a.example.com", certificate=5),),
            f"{DEFAULT}certificates/5.pem a.example.com\n",
        ),
        ((route(1, "a.example.com", certificate=99),), DEFAULT),
        ((own(6, "A.example.com"),), f"{DEFAULT}certificates/6.pem a.example.com\n"),
        (
            (own(7, "*.apps.example.com", "b.example.com"),),
            "certificates/7.pem *.apps.example.com b.example.com\n",
        ),
        (
            (own(8, "a.example.com"), own(7, "*.apps.example.com")),
            "certificates/7.pem *.apps.example.com\ncertificates/8.pem a.example.com\n",
        ),
        (
            (own(8, "a.example.com", "b.example.com"), own(6, "a.example.com", "c.example.com")),
            f"{DEFAULT}certificates/8.pem a.example.com b.example.com\n"
            "certificates/6.pem c.example.com\n",
        ),
        (
            (own(6, "a.example.com"), route(1, "a.example.com", certificate=5)),
            f"{DEFAULT}certificates/5.pem a.example.com\n",
        ),
        (
            (own(6, "app-1.apps.example.com"),),
            f"{DEFAULT}certificates/6.pem app-1.apps.example.com\n",
        ),
    ],
    ids=[
        *(
            "nothing",
            "none given",
            "given",
            "unservable",
            "own",
            "own for all",
            "own for all first",
        ),
        *("newest first", "given before own", "one below the domain"),
    ],
)
def test_each_name_has_one(given: tuple[Certificate | Route, ...], lines: str) -> None:
    assert listed(*given) == lines
