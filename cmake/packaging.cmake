# SPDX-License-Identifier: Apache-2.0
# What is installed, how a program outside the tree finds it, and the Debian package.
include(CMakePackageConfigHelpers)

if(TARGET auxin_preload)
  install(TARGETS auxin_preload LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(TARGET auxin_round_trips)
  install(TARGETS auxin_round_trips LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(TARGET auxin)
  install(TARGETS auxin RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

if(TARGET auxin_structure)
  install(TARGETS auxin_structure RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/auxin)
endif()

if(TARGET auxin-restore)
  install(TARGETS auxin-restore RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/auxin)
endif()

install(DIRECTORY ${CMAKE_SOURCE_DIR}/maps/ DESTINATION ${CMAKE_INSTALL_DATADIR}/auxin/maps
        FILES_MATCHING PATTERN "*.toml")
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/auxin DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(EXISTS ${CMAKE_SOURCE_DIR}/docs/man/auxin.1)
  install(FILES ${CMAKE_SOURCE_DIR}/docs/man/auxin.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
foreach(document README.md CHANGELOG.md)
  if(EXISTS ${CMAKE_SOURCE_DIR}/${document})
    install(FILES ${CMAKE_SOURCE_DIR}/${document} DESTINATION ${CMAKE_INSTALL_DOCDIR})
  endif()
endforeach()
if(EXISTS ${CMAKE_SOURCE_DIR}/checkpoint/examples)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/checkpoint/examples/
          DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples/checkpoint
          PATTERN harness EXCLUDE PATTERN tests EXCLUDE)
endif()
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)

# The public headers, for meta-objects and annotated middleware: find_package(Auxin), or
# pkg-config auxin. There is nothing to link: what they call is found in the preload at run time.
add_library(auxin_headers INTERFACE)
set_target_properties(auxin_headers PROPERTIES EXPORT_NAME headers)
target_include_directories(auxin_headers INTERFACE
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
install(TARGETS auxin_headers EXPORT AuxinTargets)
set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/Auxin)
install(EXPORT AuxinTargets NAMESPACE Auxin:: DESTINATION ${package_directory})

# The Stable Transactional Memory (<auxin/stm.h>): find_package(auxin), auxin::stmemu; or
# pkg-config auxin-stmemu.
if(TARGET auxin_stmemu)
  set_target_properties(auxin_stmemu PROPERTIES EXPORT_NAME stmemu)
  target_include_directories(auxin_stmemu INTERFACE
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  install(TARGETS auxin_stmemu EXPORT AuxinStmTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT AuxinStmTargets NAMESPACE auxin:: DESTINATION ${package_directory})
endif()

# The checkpoint service (<auxin/checkpoint.h>): auxin::checkpoint, or pkg-config auxin-checkpoint.
if(TARGET auxin_checkpoint)
  set_target_properties(auxin_checkpoint PROPERTIES EXPORT_NAME checkpoint)
  set_target_properties(auxin_page_tracking PROPERTIES EXPORT_NAME page_tracking)
  target_include_directories(auxin_checkpoint INTERFACE
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  set_target_properties(auxin_checkpoint_calls PROPERTIES EXPORT_NAME checkpoint_calls)
  install(TARGETS auxin_checkpoint auxin_checkpoint_calls auxin_page_tracking
          EXPORT AuxinCheckpointTargets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT AuxinCheckpointTargets NAMESPACE auxin:: DESTINATION ${package_directory})
endif()
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/AuxinConfig.cmake.in ${CMAKE_BINARY_DIR}/AuxinConfig.cmake
  INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(
  ${CMAKE_BINARY_DIR}/AuxinConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/AuxinConfig.cmake ${CMAKE_BINARY_DIR}/AuxinConfigVersion.cmake
              ${CMAKE_CURRENT_LIST_DIR}/auxin-config.cmake
        DESTINATION ${package_directory})
install(FILES ${CMAKE_BINARY_DIR}/AuxinConfigVersion.cmake DESTINATION ${package_directory}
        RENAME auxin-config-version.cmake)

# The prefix may be another one at installation (--prefix, DESTDIR, the package): it is told from
# where auxin.pc itself is found, if that is below the prefix at all.
set(pkgconfig_directory ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  set(pkgconfig_prefix ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH way_up /prefix/${pkgconfig_directory} /prefix)
  string(REGEX REPLACE "/$" "" way_up ${way_up})
  set(pkgconfig_prefix "\${pcfiledir}/${way_up}")
endif()
if(IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
  set(pkgconfig_include_directory ${CMAKE_INSTALL_INCLUDEDIR})
else()
  set(pkgconfig_include_directory "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  set(pkgconfig_library_directory ${CMAKE_INSTALL_LIBDIR})
else()
  set(pkgconfig_library_directory "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
foreach(name auxin auxin-stmemu auxin-checkpoint)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/${name}.pc.in ${CMAKE_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/${name}.pc DESTINATION ${pkgconfig_directory})
endforeach()

# cpack -G DEB
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME auxin)
set(CPACK_PACKAGE_VENDOR "Auxin")
set(CPACK_PACKAGE_CONTACT "The Auxin developers <auxin@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Loaded at run time: the first privately by libauxin.so, the others by who reads sources.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libunwind8, libclang1-14, libclang-common-14-dev")
set(CPACK_STRIP_FILES ON)
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
include(CPack)
