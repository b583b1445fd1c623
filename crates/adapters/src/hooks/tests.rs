//! What opens and what does not.

use super::*;

fn hooks(byte: u8) -> SealedHooks {
    SealedHooks::new(&SecretSlice::from(vec![byte; 32]))
}

fn hook(tenant: i32, workspace: i32, no: i32) -> HookKey {
    HookKey { tenant: TenantNo(tenant), workspace: WorkspaceNo(workspace), no: HookNo(no) }
}

fn sign(secret: &SecretString, id: &str, timestamp: &str, body: &[u8]) -> String {
    let key = BASE64_STANDARD.decode(secret.expose_secret().strip_prefix("whsec_").unwrap()).unwrap();
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).unwrap();
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    format!("v1,{}", BASE64_STANDARD.encode(mac.chain_update(signed).finalize().into_bytes()))
}

#[test]
fn an_address_opens_to_its_hook_and_changed_in_any_bit_to_none() {
    for key in [hook(1, 2, 3), hook(i32::MAX, i32::MAX, i32::MAX)] {
        let token = hooks(1).token(key);
        assert_eq!(hooks(1).open(&token), Some(key));
        assert_eq!(hooks(2).open(&token), None, "another installation's");
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(hooks(1).open(&BASE64_URL_SAFE_NO_PAD.encode(changed)), None, "bit {bit}");
        }
    }
    for bad in ["", "x", "%", &"A".repeat(32), &"A".repeat(10_000)] {
        assert_eq!(hooks(1).open(bad), None);
    }
}

#[test]
fn a_message_is_signed_only_as_it_was_and_for_its_own_hook() {
    let (ours, body) = (hook(1, 2, 3), b"{}".as_slice());
    let signature = sign(&hooks(1).secret(ours), "msg_1", "1700000000", body);
    let checked = |of: HookKey, id, timestamp, signature: &str, body| {
        hooks(1).is_signed(of, SignedMessage { id, timestamp, signature, body })
    };
    assert!(checked(ours, "msg_1", "1700000000", &signature, body));
    assert!(checked(ours, "msg_1", "1700000000", &format!("v1,AAAA v1a,x {signature}"), body), "one of several");
    assert!(!checked(ours, "msg_2", "1700000000", &signature, body));
    assert!(!checked(ours, "msg_1", "1700000001", &signature, body));
    assert!(!checked(ours, "msg_1", "1700000000", &signature, b"{ }"));
    assert!(!checked(ours, "msg_1.1700000000", "", &signature, body));
    for other in [hook(2, 2, 3), hook(1, 1, 3), hook(1, 2, 4)] {
        assert!(!checked(other, "msg_1", "1700000000", &signature, body), "{other:?}");
    }
    let cut = &signature[..signature.len() - 4];
    for bad in ["", "v1,", "v1", cut, &signature.replace("v1,", "v2,"), &signature.replace("v1,", "")] {
        assert!(!checked(ours, "msg_1", "1700000000", bad, body), "{bad}");
    }
    let many = format!("{}{signature}", "v1,AAAA ".repeat(SIGNATURES_AT_MOST));
    assert!(!checked(ours, "msg_1", "1700000000", &many, body), "beyond what is looked at");
}

/// Whoever holds an address or a secret keeps it for years: a change of the scheme must be deliberate.
#[test]
fn hooks_of_today_work_tomorrow() {
    let key = hook(1, 2, 3);
    assert_eq!(hooks(1).token(key), "hiKaEPX4wWAulKXWAAAAAQAAAAIAAAAD");
    assert_eq!(hooks(1).secret(key).expose_secret(), "whsec_XXKdLIZrzc3lyBM3QANl2YdW2kkDOc7AnQd9HMvbu6U=");
}
