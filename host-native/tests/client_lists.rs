//! The client's lists of messages, with a real server whose answers are full at once.

use burrow_client::{Client, Listing, Messages, Put, Taking};
use burrow_tests::process::Launch;

#[tokio::test]
async fn a_list_that_is_full_says_that_there_is_more() {
    let launch = Launch::new(env!("CARGO_BIN_EXE_burrow")).memory();
    let launch = launch.argument("--max-answer-bytes=1");
    let launch = launch.argument("--listen-wire=127.0.0.1:0");
    let server = launch.start().expect("the server starts");
    let wire = server.wire_address().expect("an address");
    let urls = [
        format!("http://{}", server.address()),
        format!("burrow://{wire}"),
    ];
    for url in urls {
        let queue = Client::connect(&url).unwrap().queue("shop", "jobs");
        let puts = ["1", "2"].map(|id| Put::new("work").id(id)).into();
        queue.put_batch(puts).await.unwrap();
        let told = |found: Messages| (found[0].id.clone(), found.has_more);

        let listed = queue.list(Listing::default()).await.unwrap();
        assert_eq!(told(listed), ("1".into(), true), "{url}");
        let behind = Listing {
            marker: Some("1".into()),
            ..Listing::default()
        };
        let listed = queue.list(behind).await.unwrap();
        assert_eq!(told(listed), ("2".into(), false), "{url}");

        let all = || Taking {
            limit: 5,
            ..Taking::default()
        };
        let popped = queue.pop(all()).await.unwrap();
        assert_eq!(told(popped), ("1".into(), true), "{url}");
        let popped = queue.pop(all()).await.unwrap();
        assert_eq!(told(popped), ("2".into(), false), "{url}");
    }
}
