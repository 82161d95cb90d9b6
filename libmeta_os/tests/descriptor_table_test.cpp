// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/descriptor_table.h"

#include <gtest/gtest.h>

namespace auxin::os {
namespace {

// The table never looks into what it points at.
MetaSocket* socket_number(uintptr_t number) { return reinterpret_cast<MetaSocket*>(number * 16); }

class DescriptorTable : public ::testing::Test {
 protected:
  ~DescriptorTable() override { detach_all(); }
};

TEST_F(DescriptorTable, AnAttachedDescriptorIsFoundUntilItIsDetached) {
  EXPECT_EQ(meta_socket(5), nullptr);
  attach(5, socket_number(1));
  EXPECT_EQ(meta_socket(5), socket_number(1));
  detach(5);
  EXPECT_EQ(meta_socket(5), nullptr);
}

TEST_F(DescriptorTable, NumbersBeyondItNeverHaveAMetaSocket) {
  for (const int fd : {-1, kMaxDescriptors, 1 << 30}) {
    attach(fd, socket_number(1));
    EXPECT_EQ(meta_socket(fd), nullptr);
    set_mark(fd, kRandomSource, true);
    EXPECT_FALSE(is_marked(fd, kRandomSource));
    detach(fd);
    clear_marks(fd);
  }
  attach(kMaxDescriptors - 1, socket_number(1));
  EXPECT_EQ(meta_socket(kMaxDescriptors - 1), socket_number(1));
}

TEST_F(DescriptorTable, DuplicatesAreCounted) {
  EXPECT_EQ(attached_count(socket_number(2)), 0);
  attach(3, socket_number(2));
  attach(900, socket_number(2));
  attach(4, socket_number(1));
  EXPECT_EQ(attached_count(socket_number(2)), 2);
  detach(3);
  EXPECT_EQ(attached_count(socket_number(2)), 1);
}

TEST_F(DescriptorTable, DetachAllLeavesNothing) {
  attach(3, socket_number(2));
  attach(1000, socket_number(3));
  detach_all();
  EXPECT_EQ(meta_socket(3), nullptr);
  EXPECT_EQ(meta_socket(1000), nullptr);
}

TEST_F(DescriptorTable, MarksAreApartFromEachOtherAndAreCopiedToDuplicates) {
  set_mark(7, kEpollWithMeta, true);
  EXPECT_TRUE(is_marked(7, kEpollWithMeta));
  EXPECT_FALSE(is_marked(7, kRandomSource));
  copy_marks(7, 8);
  EXPECT_TRUE(is_marked(8, kEpollWithMeta));
  set_mark(7, kRandomSource, true);
  set_mark(7, kEpollWithMeta, false);
  EXPECT_FALSE(is_marked(7, kEpollWithMeta));
  EXPECT_TRUE(is_marked(7, kRandomSource));
  clear_marks(7);
  EXPECT_FALSE(is_marked(7, kRandomSource));
  copy_marks(7, 8);
  EXPECT_FALSE(is_marked(8, kEpollWithMeta));
}

}  // namespace
}  // namespace auxin::os
