"""What the product proves, as its operator asks for it: receipts and the audit."""

from product import CLICK, wait_until


def click(product, **fields):
    answer = product.post(CLICK, {"ad_id": "ad-001", **fields})
    assert answer.status == 202, answer.body
    return answer.json()["click_id"]


def receipt(product, event_id, query=""):
    return product.as_admin("GET", f"/api/v1/events/{event_id}{query}")


def receipt_of(product, event_id, status, query=""):
    """The receipt, once it says so."""
    def said():
        answer = receipt(product, event_id, query)
        return answer.status == 200 and answer.json()["status"] == status and answer.json()
    return wait_until(f"{event_id} is {status}", said)


def audit(product, query=""):
    answer = product.as_admin("GET", f"/api/v1/audit{query}")
    assert answer.status == 200, answer.body
    return answer.json()


def problem(answer):
    assert answer.headers["content-type"] == "application/problem+json", answer.body
    return answer.status, answer.json()["code"]
