# The C client as a shared library, libdormouse, for programs of others. The CLI, the benchmarks
# and the unit tests link the same sources statically, with what is inside.

include(GNUInstallDirs)

# What the client needs of other layers, as code that may lie anywhere. The server is not built
# so: it would be slower.
file(GLOB base_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/base/*.c)
add_library(dm_client_parts STATIC ${base_sources} ${CMAKE_SOURCE_DIR}/src/wire/ttrpc_frame.c)
target_compile_options(dm_client_parts PRIVATE ${DM_WARNINGS})
set_target_properties(dm_client_parts PROPERTIES POSITION_INDEPENDENT_CODE ON
  EXPORT_COMPILE_COMMANDS OFF) # the lints look at each source once, as a layer's
dm_use(dm_client_parts base wire)

# dm_client_library(<target> INCLUDE <folder with dormouse/*.h> TABLES <folder with
# dm_message_tables.*>): libdormouse.so, which shows nothing but dormouse_*.
function(dm_client_library target)
  cmake_parse_arguments(ARG "" "INCLUDE;TABLES" "" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/client/*.c)
  set(script ${CMAKE_SOURCE_DIR}/src/client/libdormouse.map)
  add_library(${target} SHARED ${sources})
  target_compile_options(${target} PRIVATE ${DM_WARNINGS})
  target_include_directories(${target} BEFORE PRIVATE ${ARG_INCLUDE} ${ARG_TABLES})
  target_include_directories(${target} SYSTEM PRIVATE ${CMAKE_BINARY_DIR}/proto ${CMAKE_SOURCE_DIR}/proto)
  target_link_libraries(${target} PRIVATE dm_client_headers dm_base_headers dm_wire_headers
    dm_client_parts ${NANOPB_LIBRARY} PkgConfig::UV Threads::Threads)
  target_link_options(${target} PRIVATE "LINKER:--version-script=${script}")
  set_target_properties(${target} PROPERTIES OUTPUT_NAME dormouse VERSION ${PROJECT_VERSION}
    SOVERSION ${DM_CLIENT_SOVERSION} LINK_DEPENDS ${script} EXPORT_COMPILE_COMMANDS OFF)
  add_dependencies(${target} dm_proto)
endfunction()

# Raised when programs that are compiled already could not work any more; see src/README.md, "The
# C client", for how that is avoided.
set(DM_CLIENT_SOVERSION 0)

dm_client_library(dormouse_client INCLUDE ${CMAKE_SOURCE_DIR}/include TABLES ${CMAKE_BINARY_DIR}/proto)

# cmake --install build/release --component client [--prefix FOLDER]
cmake_path(SET pkgconfig_folder "/${CMAKE_INSTALL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH DM_PREFIX_FROM_PC ${pkgconfig_folder} "/")
configure_file(${CMAKE_SOURCE_DIR}/src/client/dormouse.pc.in ${CMAKE_BINARY_DIR}/dormouse.pc @ONLY)
install(TARGETS dormouse_client LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client
  NAMELINK_COMPONENT client)
install(FILES ${CMAKE_SOURCE_DIR}/include/dormouse/client.h ${CMAKE_SOURCE_DIR}/include/dormouse/code.h
  ${CMAKE_SOURCE_DIR}/include/dormouse/message.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dormouse COMPONENT client)
install(FILES ${CMAKE_BINARY_DIR}/dormouse.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT client)
