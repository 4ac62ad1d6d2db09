//! TLS and users.

use std::fs;

use bg_playground::etcd::{PASSWORD, USER};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn only_who_has_certificate_and_password_gets_in_and_the_password_stays_secret() {
    let mut etcd = Etcd::secured().unwrap();
    fs::write(etcd.dir().join("password"), format!("{PASSWORD}\n")).unwrap();
    fs::write(etcd.dir().join("wrong"), "a wrong one\n").unwrap();
    let file = |name: &str| Some(name.to_owned());
    let right = EtcdAccess {
        ca: file("ca.pem"),
        cert: file("client.pem"),
        key: file("client.key"),
        user: file(USER),
        password_file: file("password"),
    };
    let (there, dir) = (location(&etcd), etcd.dir().to_owned());
    let store = |access: EtcdAccess, prefix: &str| {
        let location = EtcdLocation { access, prefix: prefix.to_owned(), ..there.clone() };
        EtcdStore::new(&location, &dir)
    };
    let good = store(right.clone(), "/bg/shop");
    let patience = Patience::default();
    take_turn(&good, &ticket("anna"), patience, &mut |_| false).await.unwrap();
    let end = good.append(End::default(), "record 0").await.unwrap();
    assert_eq!(good.read().await.unwrap(), b"record 0\n");

    let open = |access: EtcdAccess| EtcdAccess { ..access };
    for (access, prefix, says) in [
        (EtcdAccess { password_file: file("wrong"), ..open(right.clone()) }, "/bg/shop", "invalid user ID or password"),
        (EtcdAccess { user: file("nobody"), ..open(right.clone()) }, "/bg/shop", "invalid user ID or password"),
        (EtcdAccess { user: None, password_file: None, ..open(right.clone()) }, "/bg/shop", "permission denied"),
        (EtcdAccess { password_file: file("gone"), ..open(right.clone()) }, "/bg/shop", "gone` could not be read"),
        (EtcdAccess { ca: None, ..open(right.clone()) }, "/bg/shop", "certificate"),
        (EtcdAccess { ca: file("client.key"), ..open(right.clone()) }, "/bg/shop", "certificate"),
        (EtcdAccess { cert: None, key: None, ..open(right.clone()) }, "/bg/shop", "ask for a certificate"),
        (EtcdAccess { key: file("gone.key"), ..open(right.clone()) }, "/bg/shop", "gone.key` could not be read"),
        (right.clone(), "/others", "permission denied"),
    ] {
        let error = store(access.clone(), prefix).queue().await.unwrap_err().to_string();
        assert!(error.to_lowercase().contains(&says.to_lowercase()), "{says}: {error}");
        assert!(!error.contains(PASSWORD) && !error.contains("a wrong one"), "{error}");
        let shown = format!("{access:?}");
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
    let plain = EtcdLocation { access: EtcdAccess::default(), ..location(&etcd) };
    let endpoints = plain.endpoints.iter().map(|it| it.replace("https", "http")).collect();
    let error = EtcdStore::new(&EtcdLocation { endpoints, ..plain }, etcd.dir()).queue().await.unwrap_err().to_string();
    assert!(error.contains("as members do that speak TLS"), "{error}");
    // Started again, etcd knows no token that it gave before.
    etcd.kill(0);
    etcd.restart(0).unwrap();
    good.append(end, "record 1").await.unwrap();
    good.leave().await;
    assert_eq!(good.read().await.unwrap(), b"record 0\nrecord 1\n");
}
