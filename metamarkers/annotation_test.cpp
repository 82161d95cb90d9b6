// SPDX-License-Identifier: Apache-2.0
//
// A middleware annotated with auxin/metamarker.h (samples/annotated.*), in two processes: this one,
// which exports Auxin's side of the annotations, and one without Auxin (samples/plain_program.cpp).
#include "metamarkers/annotation.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "auxin/metamarker.h"
#include "metamarkers/interception.h"
#include "metamarkers/samples/annotated.h"

using namespace auxin::markers;

namespace {

std::vector<std::string> log_lines;  // of the one thread that annotates
bool skip_suppressed = false;

bool enter(const JoinPoint& join_point, Arguments& arguments, uint64_t*) {
  errno = 99;
  if (skip_suppressed && join_point.follower_skips) return false;
  log_lines.push_back("enter " + join_point.name +
                      (arguments.integer[0] != 0 ? " with argument" : ""));
  return true;
}
void leave(const JoinPoint& join_point, uint64_t) {
  errno = 98;
  log_lines.push_back("leave " + join_point.name);
}

void look(void* context) {
  std::string line = "look";
  for (int index = 0; index < this_thread().depth(); ++index) {
    const Marker& marker = this_thread().at(index);
    line += std::string(" ") + join_point_name(marker.join_point) + "/" + role_name(marker.role);
    if (marker.argument == reinterpret_cast<uint64_t>(context)) line += "!";
  }
  if (const AnnotatedRequest* request = annotated_request()) {
    line += " for " + std::to_string(request->request_id) + " on " + std::to_string(request->fd);
  }
  log_lines.push_back(line);
}

class Annotation : public ::testing::Test {
 protected:
  void SetUp() override {
    log_lines.clear();
    skip_suppressed = false;
    set_actions({enter, leave});
  }
  void TearDown() override { EXPECT_EQ(this_thread().depth(), 0); }
  int context_ = 0;
};

TEST_F(Annotation, InCPutsAndTakesAMarker) {
  errno = 3;
  EXPECT_EQ(annotated_c_upcall(look, &context_), 1);
  EXPECT_EQ(errno, 3);
  EXPECT_EQ(log_lines, (std::vector<std::string>{"enter c upcall with argument",
                                                 "look c upcall/upcall!", "leave c upcall"}));
}

TEST_F(Annotation, InCppNestsInOneFunction) {
  EXPECT_EQ(annotated_cpp_upcall(look, &context_), 1);
  EXPECT_EQ(log_lines,
            (std::vector<std::string>{
                "enter cpp upcall with argument", "enter cpp inner",
                "look cpp upcall/upcall! cpp inner/infrastructure", "leave cpp inner",
                "look cpp upcall/upcall!", "leave cpp upcall"}));
}

TEST_F(Annotation, SuppressedIsSkippedWhereTheActionSaysSo) {
  EXPECT_EQ(annotated_c_sweep(look, &context_), 1);
  EXPECT_EQ(annotated_cpp_sweep(look, &context_), 1);
  EXPECT_EQ(log_lines.size(), 6u);
  skip_suppressed = true;
  log_lines.clear();
  EXPECT_EQ(annotated_c_sweep(look, &context_), 0);
  EXPECT_EQ(annotated_cpp_sweep(look, &context_), 0);
  EXPECT_EQ(log_lines.size(), 0u);
}

TEST_F(Annotation, ExceptionLeavesTheJoinPoint) {
  EXPECT_THROW(annotated_cpp_throws(look, &context_), int);
  EXPECT_EQ(log_lines, (std::vector<std::string>{"enter cpp throws with argument",
                                                 "look cpp throws/contention-point!",
                                                 "leave cpp throws"}));
}

TEST_F(Annotation, RequestsNestAndAreTold) {
  static std::vector<std::string> told;
  told.clear();
  set_request_annotations(
      {[](int fd, uint32_t id) {
         told.push_back("+" + std::to_string(fd) + "/" + std::to_string(id));
       },
       [](int fd, uint32_t id) {
         told.push_back("-" + std::to_string(fd) + "/" + std::to_string(id));
       }});
  annotated_request(5, 40, look, &context_);
  EXPECT_EQ(log_lines, (std::vector<std::string>{"look for 41 on 6", "look for 40 on 5"}));
  EXPECT_EQ(told, (std::vector<std::string>{"+5/40", "+6/41", "-6/41", "-5/40"}));
  EXPECT_EQ(annotated_request(), nullptr);
  std::thread([] { EXPECT_EQ(annotated_request(), nullptr); }).join();
}

TEST_F(Annotation, UnbalancedEndsAreHarmless) {
  auxin_marker_request_end();
  auxin_marker_leave(0, nullptr);
  auxin_marker_leave(-5, nullptr);
  auxin_marker_leave(100000, nullptr);
  EXPECT_EQ(annotated_request(), nullptr);
  EXPECT_STREQ(annotation_name(0), "");
  EXPECT_STREQ(annotation_name(0xffff), "");
}

TEST_F(Annotation, MoreNamesThanThereIsRoomForStillMeanSomething) {
  annotated_many(kMaxAnnotations + 40);
  ASSERT_EQ(log_lines.size(), 2u * (kMaxAnnotations + 40));
  EXPECT_EQ(log_lines[0], "enter name 0");
  EXPECT_EQ(log_lines.back(), "leave (annotation)");
  log_lines.clear();
  annotated_many(1);  // found again
  EXPECT_EQ(log_lines, (std::vector<std::string>{"enter name 0", "leave name 0"}));
}

TEST_F(Annotation, UnknownRoleIsAPlainMark) {
  int token = auxin_marker_enter("from the future", 77, 0, __builtin_frame_address(0));
  ASSERT_GT(token, 0);
  EXPECT_EQ(this_thread().top()->role, Role::kPlain);
  auxin_marker_leave(token, __builtin_frame_address(0));
}

TEST(AnnotationWithoutAuxin, ProgramRunsUnchanged) {
  EXPECT_EQ(system(AUXIN_PLAIN_PROGRAM), 0);
}

}  // namespace
