//! Firmware images, and jobs in waves.

use uuid::{NoContext, Uuid};

use super::*;
use crate::{
    operation::Priority,
    store::{
        FirmwareStore, ImageId, ImageRow, JobId, JobRow, JobState, JobStore, TaskEnd, TaskFilter, TaskRef, TaskResult,
        TaskState, WaveStore, WavesRow, WavesState,
    },
};

fn image(octet: u8) -> ImageRow {
    let digest = [octet; 32];
    ImageRow {
        id: ImageId::of(&digest),
        digest,
        size: 5,
        identification: b"FW-2".to_vec(),
        version: "2.0".to_owned(),
        signature: vec![1, 2],
        description: String::new(),
        creator: "anna".to_owned(),
        created: Timestamp::from_second(1_790_000_000).unwrap(),
    }
}

async fn an_image_is_kept_in_chunks_and_once(place: &impl Place) {
    let store = place.open().await;
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    store.add_image_chunk(first, 0, vec![1, 2, 3]).await.unwrap();
    store.add_image_chunk(first, 1, vec![4, 5]).await.unwrap();
    assert_eq!(store.image_chunk(image(7).id, 0).await.unwrap(), None, "not an image yet");
    assert!(store.finish_image(first, image(7)).await.unwrap());
    assert_eq!(store.image(image(7).id).await.unwrap(), Some(image(7)));
    assert_eq!(store.image_chunk(image(7).id, 1).await.unwrap(), Some(vec![4, 5]));
    assert_eq!(store.image_chunk(image(7).id, 2).await.unwrap(), None);

    store.add_image_chunk(second, 0, vec![9]).await.unwrap();
    let other = ImageRow { version: "3.0".to_owned(), ..image(7) };
    assert!(!store.finish_image(second, other).await.unwrap(), "the first one stays");
    assert_eq!(store.image(image(7).id).await.unwrap().unwrap().version, "2.0");
    let third = Uuid::now_v7();
    assert!(store.finish_image(third, image(3)).await.unwrap());
    assert_eq!(store.images(None, 10).await.unwrap(), [image(3), image(7)]);
    assert_eq!(store.images(Some(image(3).id), 10).await.unwrap(), [image(7)]);
    assert!(store.delete_image(image(7).id).await.unwrap());
    assert!(!store.delete_image(image(7).id).await.unwrap());
    assert_eq!(store.image_chunk(image(7).id, 0).await.unwrap(), None);
    store.close().await;
}

async fn uploads_that_were_never_finished_are_forgotten(place: &impl Place) {
    let store = place.open().await;
    let long_ago = Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, 1_700_000_000, 0));
    let finished = Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, 1_700_000_001, 0));
    for upload in [long_ago, finished] {
        store.add_image_chunk(upload, 1, vec![1]).await.unwrap();
    }
    store.finish_image(finished, image(1)).await.unwrap();
    store.add_image_chunk(Uuid::now_v7(), 0, vec![1]).await.unwrap();
    store.finish_image(long_ago, image(2)).await.unwrap();
    assert_eq!(store.image_chunk(image(1).id, 1).await.unwrap(), Some(vec![1]));
    assert_eq!(store.image_chunk(image(2).id, 1).await.unwrap(), None, "its parts were gone");
    store.close().await;
}

async fn tasks_are_released_by_name_and_in_order_and_held_again(place: &impl Place) {
    let store = place.open().await;
    let now = Timestamp::from_second(1_790_000_000).unwrap();
    let job = JobId::new();
    let row = JobRow {
        id: job,
        tenant: None,
        creator: "anna".to_owned(),
        kind: "update_firmware".to_owned(),
        spec: Vec::new(),
        target: Vec::new(),
        mutating: true,
        interrupts: false,
        priority: Priority::Low,
        not_before: now,
        expires: now,
        reason: String::new(),
        state: JobState::Expanding,
        approver: None,
        created: now,
        updated: now,
    };
    store.insert_job(row, None).await.unwrap();
    store.add_tasks(job, ["m1", "m2", "m3", "m4"].map(id).to_vec()).await.unwrap();
    assert!(store.move_job(job, JobState::Expanding, JobState::Running, None).await.unwrap());
    assert_eq!(store.count_tasks(job).await.unwrap().held, 4);
    assert_eq!(store.release_named(job, vec![id("m3"), id("m9")]).await.unwrap(), 1);
    assert_eq!(store.release_tasks(job, 2).await.unwrap(), 2);
    let states = async || {
        let tasks = store.list_tasks(job, TaskFilter::default(), None, 10).await.unwrap();
        tasks.into_iter().map(|task| task.state).collect::<Vec<_>>()
    };
    use TaskState::{Ended, Held, Running, Waiting};
    assert_eq!(states().await, [Waiting, Waiting, Waiting, Held]);
    // One is being done, one has something in the air.
    let claimed = store.claim_tasks(now, Priority::Low, 2).await.unwrap();
    let [first, second] = [0, 1].map(|n| claimed[n].task.clone());
    store.begin_action(second.clone(), now, vec![7], None).await.unwrap();
    let again = Retry { due: now, attempts: 1, refusals: 0, failure: None };
    store.requeue_task(second.clone(), again).await.unwrap();
    assert_eq!(store.hold_tasks(job, 10).await.unwrap(), 1);
    let counts = store.count_tasks(job).await.unwrap();
    assert_eq!((counts.held, counts.running, counts.waiting, counts.total()), (2, 1, 1, 4));
    let end = TaskEnd { result: TaskResult::Succeeded, failure: None, outcome: None, at: now };
    store.end_task(first, end).await.unwrap();
    assert!(states().await.contains(&Ended) && !states().await.contains(&Running));
    assert_eq!(store.job(job).await.unwrap().unwrap().state, JobState::Running, "held tasks keep it open");
    assert_eq!(store.task(TaskRef { job, meter: id("m4") }).await.unwrap().unwrap().state, Held);

    let waves = WavesRow {
        job,
        revision: 0,
        state: WavesState::Running,
        wave: 0,
        target: 1,
        tolerated: 0,
        next: None,
        reason: String::new(),
    };
    assert_eq!(store.waves(job).await.unwrap(), None);
    assert!(store.save_waves(waves.clone()).await.unwrap());
    assert!(!store.save_waves(waves.clone()).await.unwrap(), "somebody was faster");
    let second = WavesRow { revision: 1, state: WavesState::Paused, next: Some(now), ..waves };
    assert!(store.save_waves(second.clone()).await.unwrap());
    assert_eq!(store.waves(job).await.unwrap(), Some(WavesRow { revision: 2, ..second }));
    store.close().await;
}

on_every_store! {
    an_image_is_kept_in_chunks_and_once
    uploads_that_were_never_finished_are_forgotten
    tasks_are_released_by_name_and_in_order_and_held_again
}
