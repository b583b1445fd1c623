"""Contacts and campaigns for a harness, and the orders by which the checker knows of them."""

import time

import stage


def contacts(on, api, tenant, count, first=0, segment="All"):
    """Imports so many contacts of a tenant, `c<n>@<tenant>.test`, into a list; the id of the list."""
    made = api.post("/api/segments", {"name": segment, "kind": "static"}).body["id"]
    for begin in range(first, first + count, 20_000):
        end = min(begin + 20_000, first + count)
        rows = "".join(f"c{n}@{tenant}.test,Reader {n}\n" for n in range(begin, end))
        said = api.call("POST", f"/api/contacts/import?segmentId={made}", "email,firstName\n" + rows, media_type="text/csv").body
        if said["errors"]:
            raise RuntimeError(f"import: {said}")
    return made


def many_contacts(on, api, tenant, count):
    """So many contacts in the database itself, where a request for each would take longer than what is to be measured."""
    segment = api.post("/api/segments", {"name": "Many", "kind": "static"}).body["id"]
    on.sql(f"""INSERT INTO contacts (tenant_no, workspace_no, id, email, email_key, created_at, updated_at)
        SELECT w.tenant_no, w.workspace_no, gen_random_uuid(), e, e, now(), now() FROM workspaces w JOIN tenants t USING (tenant_no)
        CROSS JOIN LATERAL (SELECT format('c%s@{tenant}.test', n) AS e FROM generate_series(0, {count} - 1) AS n) AS c
        WHERE t.name = '{tenant}'""",
        f"""INSERT INTO segment_members (tenant_no, segment_no, contact_no) SELECT s.tenant_no, s.segment_no, c.contact_no
        FROM segments s JOIN contacts c USING (tenant_no, workspace_no) WHERE s.id = '{segment}'""")
    return segment


def campaign(on, api, tenant, segment, name, count, subjects=("s1",), policy="hold", first=0, body="<p>Hello {{ firstName }}</p>",
             ends="completed", kind=None):
    """A campaign with one e-mail a subject; its id. It is not launched."""
    sender = f"news@{name}.{tenant}.test"
    made = api.post("/api/campaigns", {
        "name": name, "campaignType": kind or ("broadcast" if len(subjects) == 1 else "drip"), "segmentId": segment,
        "fromName": "News", "fromEmail": sender,
        "settings": {"onInDoubt": policy, "unsubscribeEnabled": True}}).body["id"]
    steps = [{"name": subject, "stepType": "email", "subjectLine": subject, "emailContent": body} for subject in subjects]
    api.call("PUT", f"/api/campaigns/{made}/steps", {"steps": steps})
    on.orders.note("campaign", id=made, **{"from": sender}, tenant=tenant, policy=policy, subjects=list(subjects), ends=ends,
                   audience={"format": f"c{{}}@{tenant}.test", "first": first, "count": count})
    return made


def launch(on, api, campaign_id, **more):
    answer = api.post(f"/api/campaigns/{campaign_id}/launch", **more)
    on.orders.note("launch", campaign=campaign_id, **answer.times())
    return answer


def pause(on, api, campaign_id, **more):
    answer = api.post(f"/api/campaigns/{campaign_id}/pause", **more)
    on.orders.note("pause", campaign=campaign_id, inFlight=answer.body["inFlight"], **answer.times())
    return answer


def resume(on, api, campaign_id, **more):
    answer = api.post(f"/api/campaigns/{campaign_id}/resume", **more)
    on.orders.note("resume", campaign=campaign_id, **answer.times())
    return answer


def complete(on, api, campaign_id):
    """Ends it early."""
    answer = api.post(f"/api/campaigns/{campaign_id}/complete")
    on.orders.note("complete", campaign=campaign_id, **answer.times())
    return answer


def completed(on, seconds=180, every=0.2):
    """Waits until no campaign has anything left to do."""
    open_ones = "SELECT count(*) FROM campaigns WHERE status IN ('scheduled', 'active')"

    def ask():
        try:
            return on.sql(open_ones) == "0"
        except RuntimeError:  # The database is being restarted.
            return False

    stage.wait_until("the end of every campaign", ask, seconds, every)
    # What an attempt learns late is recorded within a round of housekeeping.
    time.sleep(1)
