// SPDX-License-Identifier: Apache-2.0
//
// The bytes of libc's objects that tags live in are really unused: an object is worked with all the
// time while they are set, and they are as they were.
#include "libmeta_os/object_tag.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace auxin::os {
namespace {

constexpr uint64_t kTag = kTagMagic | kTagContentionPoint | 7ull << kTagClassShift | 1234;

TEST(ObjectTag, ATagSaysWhatItWasGiven) {
  EXPECT_TRUE(tag_valid(kTag));
  EXPECT_TRUE(tag_selected(kTag));
  EXPECT_EQ(tag_class(kTag), 7u);
  EXPECT_EQ(tag_identity(kTag), 1234u);
  EXPECT_FALSE(tag_valid(0));
  EXPECT_FALSE(tag_valid(0x00007f1234567890));  // an address
}

TEST(ObjectTag, AMutexKeepsItsTagThroughContendedUseAndLosesItAtInit) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  EXPECT_EQ(mutex_tag(&mutex).load(), 0u);
  mutex_tag(&mutex).store(kTag);
  long count = 0;
  const auto work = [&] {
    for (int i = 0; i < 10000; ++i) {
      pthread_mutex_lock(&mutex);
      ++count;
      mutex_count(&mutex).store(static_cast<uint64_t>(count));
      pthread_mutex_unlock(&mutex);
    }
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(mutex_tag(&mutex).load(), kTag);
  EXPECT_EQ(mutex_count(&mutex).load(), 20000u);
  pthread_mutex_init(&mutex, nullptr);
  EXPECT_EQ(mutex_tag(&mutex).load(), 0u);
  EXPECT_EQ(mutex_count(&mutex).load(), 0u);
}

TEST(ObjectTag, ARwlockKeepsItsTagAndLosesItAtInit) {
  pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  EXPECT_EQ(rwlock_tag(&lock).load(), 0u);
  EXPECT_EQ(rwlock_count(&lock).load(), 0u);
  rwlock_tag(&lock).store(kTag);
  rwlock_count(&lock).store(99);
  const auto work = [&] {
    for (int i = 0; i < 10000; ++i) {
      i % 3 == 0 ? pthread_rwlock_wrlock(&lock) : pthread_rwlock_rdlock(&lock);
      pthread_rwlock_unlock(&lock);
    }
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(rwlock_tag(&lock).load(), kTag);
  EXPECT_EQ(rwlock_count(&lock).load(), 99u);
  pthread_rwlock_init(&lock, nullptr);
  EXPECT_EQ(rwlock_tag(&lock).load(), 0u);
  EXPECT_EQ(rwlock_count(&lock).load(), 0u);
}

TEST(ObjectTag, ASemaphoreKeepsItsTag) {
  sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  semaphore_tag(&semaphore).store(kTag);
  semaphore_count(&semaphore).store(99);
  std::thread other([&] {
    for (int i = 0; i < 10000; ++i) sem_wait(&semaphore);
  });
  for (int i = 0; i < 10000; ++i) sem_post(&semaphore);
  other.join();
  EXPECT_EQ(semaphore_tag(&semaphore).load(), kTag);
  EXPECT_EQ(semaphore_count(&semaphore).load(), 99u);
}

TEST(ObjectTag, WhatIsSharedOrRobustIsKnownAsSuch) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutex_t mutex;
  pthread_mutex_init(&mutex, &attributes);
  EXPECT_FALSE(mutex_is_shared(&mutex));
  EXPECT_FALSE(mutex_is_robust(&mutex));
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(&mutex, &attributes);
  EXPECT_TRUE(mutex_is_shared(&mutex));
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_PRIVATE);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
  pthread_mutex_init(&mutex, &attributes);
  EXPECT_TRUE(mutex_is_robust(&mutex));

  pthread_rwlockattr_t rwlock_attributes;
  pthread_rwlockattr_init(&rwlock_attributes);
  pthread_rwlock_t lock;
  pthread_rwlock_init(&lock, &rwlock_attributes);
  EXPECT_FALSE(rwlock_is_shared(&lock));
  pthread_rwlockattr_setpshared(&rwlock_attributes, PTHREAD_PROCESS_SHARED);
  pthread_rwlock_init(&lock, &rwlock_attributes);
  EXPECT_TRUE(rwlock_is_shared(&lock));

  sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  EXPECT_FALSE(semaphore_is_shared(&semaphore));
  sem_init(&semaphore, 1, 0);
  EXPECT_TRUE(semaphore_is_shared(&semaphore));
  const std::string name = "/auxin-object-tag-" + std::to_string(getpid());
  sem_t* const named = sem_open(name.c_str(), O_CREAT | O_EXCL, 0600, 1);
  sem_unlink(name.c_str());
  ASSERT_NE(named, SEM_FAILED);
  EXPECT_TRUE(semaphore_is_shared(named));
  sem_close(named);
}

}  // namespace
}  // namespace auxin::os
