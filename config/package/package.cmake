# What `cmake --install` puts in place, and the .deb that `cpack` makes of it.
#
#     bin/sheaf, bin/sheaf-bench
#     share/man/man1/sheaf.1, share/man/man5/sheaf.ini.5
#     share/doc/sheaf/examples/sheaf.ini
#     lib/systemd/system/sheaf.service
#
# The .deb adds /etc/sheaf/sheaf.ini, which stays the operator's own.

include(GNUInstallDirs)

if(NOT TARGET sheaf)
    return()
endif()

install(TARGETS sheaf RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(TARGET sheaf-bench)
    install(TARGETS sheaf-bench RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

# The options in sheaf.ini.5 come from the program's own tables: `sheaf check --document`.
set(man_page ${PROJECT_BINARY_DIR}/sheaf.ini.5)
add_custom_command(OUTPUT ${man_page}
    COMMAND ${CMAKE_COMMAND} -DSHEAF=$<TARGET_FILE:sheaf> -DTEMPLATE=${CMAKE_CURRENT_LIST_DIR}/sheaf.ini.5.in
        -DPAGE=${man_page} -DVERSION=${PROJECT_VERSION} -P ${CMAKE_CURRENT_LIST_DIR}/man_page.cmake
    DEPENDS sheaf ${CMAKE_CURRENT_LIST_DIR}/sheaf.ini.5.in ${CMAKE_CURRENT_LIST_DIR}/man_page.cmake
    VERBATIM)
if(NOT SHEAF_SANITIZE)
    add_custom_target(man ALL DEPENDS ${man_page})
    install(FILES ${man_page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/sheaf.1.in ${PROJECT_BINARY_DIR}/sheaf.1 @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/sheaf.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

install(FILES ${PROJECT_SOURCE_DIR}/config/example.ini OPTIONAL
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/sheaf/examples RENAME sheaf.ini)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/sheaf.service DESTINATION lib/systemd/system)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/sheaf RENAME copyright)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/sheaf.ini DESTINATION /etc/sheaf
    PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ COMPONENT etc EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sheaf)
set(CPACK_PACKAGE_CONTACT "The Sheaf developers <sheaf@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION "A program that speaks to one Redis server speaks to Sheaf instead, unchanged,
and Sheaf spreads the keys over many.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL Unspecified etc)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "redis-server")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${CMAKE_CURRENT_LIST_DIR}/conffiles ${CMAKE_CURRENT_LIST_DIR}/postinst
    ${CMAKE_CURRENT_LIST_DIR}/prerm ${CMAKE_CURRENT_LIST_DIR}/postrm)
include(CPack)
