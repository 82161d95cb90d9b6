# SPDX-License-Identifier: Apache-2.0
# The two kinds of target every room has: code that goes into the preload, and its unit tests.

add_library(auxin_warnings INTERFACE)
target_compile_options(auxin_warnings INTERFACE
  -Wall -Wextra -Wshadow $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor> -Wcast-align -Wundef
  $<$<BOOL:${AUXIN_WERROR}>:-Werror>)

# auxin_room(NAME SOURCES...): a static library `auxin_NAME`, position independent, hidden
# symbols, initial-exec TLS: fit to go inside libauxin.so, and linked by the command and the tests.
# Room code is included as "room/file.h" from the top of the tree.
function(auxin_room name)
  add_library(auxin_${name} STATIC ${ARGN})
  target_include_directories(auxin_${name} PUBLIC
    "$<BUILD_INTERFACE:${CMAKE_SOURCE_DIR};${CMAKE_SOURCE_DIR}/include>")
  target_compile_options(auxin_${name} PRIVATE
    -fvisibility=hidden -fvisibility-inlines-hidden -ftls-model=initial-exec -fno-plt
    -fno-omit-frame-pointer)
  target_link_libraries(auxin_${name} PRIVATE $<BUILD_INTERFACE:auxin_warnings>
                        PUBLIC Threads::Threads)
  if(AUXIN_KILL_POINTS)
    target_compile_definitions(auxin_${name} PUBLIC AUXIN_KILL_POINTS=1)
  endif()
endfunction()

# auxin_unit_test(NAME LABEL SOURCES... [LIBS libs...]): one GoogleTest executable whose cases
# are CTest tests with the label.
function(auxin_unit_test name label)
  if(NOT AUXIN_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "LIBS" ${ARGN})
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE auxin_warnings ${arg_LIBS}
                        GTest::gtest GTest::gmock GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include)
  if(AUXIN_SANITIZE)
    target_compile_options(${name} PRIVATE -fsanitize=${AUXIN_SANITIZE})
    target_link_options(${name} PRIVATE -fsanitize=${AUXIN_SANITIZE})
  endif()
  gtest_discover_tests(${name} PROPERTIES LABELS ${label} TIMEOUT 300 DISCOVERY_TIMEOUT 60)
endfunction()
